from dataclasses import dataclass
from datetime import timedelta

import eventlet
import pytest
from eventlet.event import Event

from rpc_services.notification.domain import lease_for
from rpc_services.notification.service import LONGEST_POSTING, Rounds, Service
from rpc_services.notification.use_cases import Postman, Shift
from shared.nameko_ext.bell import Bell
from shared.nameko_ext.container import ServiceContainer
from shared.values.times import now
from tests.fakes.notification import FakeDeliveries, a_delivery

PATIENCE_SECONDS = 60
SLOW_SERVER = lease_for(timedelta(seconds=60))


class SlowMailer:
    """A mail server that has a letter and says nothing, until it is let go."""

    def __init__(self):
        self.has_one, self.may_answer = Event(), Event()
        self.taken = []

    def send(self, delivery):
        self.taken.append(delivery.id)
        if not self.has_one.ready():
            self.has_one.send(None)
        self.may_answer.wait()

    def close(self):
        pass


@pytest.fixture
def mailer():
    return SlowMailer()


@pytest.fixture
def deliveries():
    return FakeDeliveries()


class LeapingClock:
    """The wall's and the hub's: ``leap`` makes it later for everybody at once."""

    def __init__(self, monkeypatch):
        self._ahead = timedelta()
        hub = eventlet.hubs.get_hub()
        stands_at = hub.clock
        monkeypatch.setattr(hub, "clock", lambda: stands_at() + self._ahead.total_seconds())

    def __call__(self):
        return now() + self._ahead

    def leap(self, span):
        self._ahead += span
        eventlet.sleep(0)


@pytest.fixture
def clock(monkeypatch):
    return LeapingClock(monkeypatch)


class AlwaysRung(Bell):
    def wait(self, _):
        eventlet.sleep(0)


@dataclass(frozen=True)
class Parts:
    """Of the service, what its round needs."""

    deliveries: FakeDeliveries
    mailer: SlowMailer
    clock: LeapingClock

    def postman(self, _):
        return Postman(
            self.deliveries, self.mailer, self.clock, lambda: 0.5, lambda *_: None, eventlet.sleep, SLOW_SERVER
        )


@pytest.fixture
def container(mailer, deliveries, clock):
    hours = Shift()

    class Postal:
        name = "notification"
        queued, shift, transactions = AlwaysRung(), hours, None
        parts = Parts(deliveries, mailer, clock)

        @Rounds(seconds=0.01, shift=hours)
        def post(self):
            Service.post(self)

    return ServiceContainer(Postal)


def test_who_is_told_to_stop_finishes_the_letter_in_hand_and_begins_no_other(container, mailer, deliveries):
    first, *others = (a_delivery(due_at=now()) for _ in range(5))
    for each in (first, *others):
        deliveries.add(each)

    with eventlet.Timeout(PATIENCE_SECONDS):
        container.start()
        mailer.has_one.wait()
        stopping = eventlet.spawn(container.stop)
        while any(deliveries.kept[each.id].state == "sending" for each in others):
            eventlet.sleep(0)
        while_in_hand = deliveries.kept[first.id].state
        mailer.may_answer.send(None)
        stopping.wait()

    assert while_in_hand == "sending"
    assert mailer.taken == [first.id]
    assert deliveries.kept[first.id].state == "sent"
    assert {(deliveries.kept[each.id].state, deliveries.kept[each.id].attempts) for each in others} == {("queued", 0)}


def test_a_letter_that_a_slow_server_takes_within_the_lease_is_not_sent_again(container, mailer, deliveries, clock):
    letter = a_delivery(due_at=now())
    deliveries.add(letter)

    container.start()
    try:
        mailer.has_one.wait()
        clock.leap(SLOW_SERVER.whole - timedelta(seconds=1))
        mailer.may_answer.send(None)
        while deliveries.kept[letter.id].state == "sending":
            eventlet.sleep(0)
    finally:
        container.kill()

    assert (deliveries.kept[letter.id].state, mailer.taken) == ("sent", [letter.id])


def test_a_server_that_never_answers_holds_up_nobody_s_letters_for_ever(container, mailer, deliveries, clock):
    first, second = a_delivery(due_at=now()), a_delivery(due_at=now())
    deliveries.add(first)

    container.start()
    try:
        mailer.has_one.wait()
        deliveries.add(second)
        mailer.has_one.reset()
        clock.leap(LONGEST_POSTING + SLOW_SERVER.whole)
        mailer.has_one.wait()
    finally:
        container.kill()

    assert mailer.taken[:2] in ([first.id, first.id], [first.id, second.id])


def test_the_service_s_own_postmen_go_out_by_the_shift():
    (entrypoint,) = (each for each in ServiceContainer(Service).entrypoints if each.method_name == "post")

    assert isinstance(entrypoint, Rounds)
