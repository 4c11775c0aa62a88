from datetime import timedelta

import eventlet
import pytest
from eventlet.event import Event

from rpc_services.notification.domain import lease_for
from rpc_services.notification.service import Rounds, Service
from rpc_services.notification.use_cases import Postman, Shift
from shared.nameko_ext.container import ServiceContainer
from shared.values.times import now
from tests.fakes.notification import FakeDeliveries, a_delivery

PATIENCE_SECONDS = 60


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


@pytest.fixture
def container(mailer, deliveries):
    lease = lease_for(timedelta(seconds=5))
    hours = Shift()

    class Postal:
        name = "notification"

        @Rounds(seconds=0.01, shift=hours)
        def post(self):
            postman = Postman(deliveries, mailer, now, lambda: 0.5, lambda *_: None, eventlet.sleep, lease)
            hours.send(postman, batch=2, at_most=timedelta(seconds=30))

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


def test_the_service_s_own_postmen_go_out_by_the_shift():
    (entrypoint,) = (each for each in ServiceContainer(Service).entrypoints if each.method_name == "post")

    assert isinstance(entrypoint, Rounds)
