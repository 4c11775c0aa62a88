"""When an event counts as published."""

import time
from contextlib import nullcontext, suppress
from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy.exc import OperationalError

from shared.contracts.events import ORDER_PLACED, PRODUCT_CHANGED
from shared.metrics.counting import registry
from shared.nameko_ext.bell import Bell
from shared.nameko_ext.holds import FIRST_SECONDS, Holds
from shared.nameko_ext.link import LinkDown
from shared.nameko_ext.publishing import (
    CONFIRM_SECONDS,
    CONFIRMED,
    LOST,
    NACKED,
    SILENT,
    UNROUTABLE,
    Confirmation,
    NotConfirmed,
)
from shared.nameko_ext.relay import Relay
from shared.nameko_ext.waves import fate_of, in_waves
from shared.values.times import now


def fate(event_type, said):
    return fate_of(SimpleNamespace(service=event_type.service, type=event_type.name), said)


@pytest.mark.parametrize("event_type", [ORDER_PLACED, PRODUCT_CHANGED])
def test_an_event_is_published_when_the_broker_says_so_and_not_before(event_type):
    assert [fate(event_type, said) for said in (CONFIRMED, NACKED, LOST)] == [CONFIRMED, NACKED, LOST]


def test_an_order_that_nobody_can_be_told_of_yet_waits():
    assert fate(ORDER_PLACED, UNROUTABLE) == UNROUTABLE


def test_an_event_that_nobody_needs_to_hear_is_no_obstacle():
    assert fate(PRODUCT_CHANGED, UNROUTABLE) == CONFIRMED


class Database:
    """Holds the lock out to whoever asks, unless another replica has it, and one event that waits."""

    def __init__(self, written):
        self.lock_is_free = True
        self.invalidated = False
        self.rows = [
            SimpleNamespace(id=1, event_id="e-1", service="order", type="order.placed", version=1, occurred_at=written,
                            aggregate_id="o-1", sequence=1, request_id="r", traceparent=None, data={}),
        ]  # fmt: skip

    def connect(self):
        return self

    def execution_options(self, **_):
        return nullcontext(self)

    def execute(self, statement, *_):
        asked = str(statement)
        if "outbox" in asked and asked.startswith("UPDATE"):
            self.rows = []
        return SimpleNamespace(scalar=lambda: self.lock_is_free, all=lambda: self.rows)


def relay_over(database, fate):
    """A relay that gives up after one round."""

    def publish(*_, **__):
        confirmation = Confirmation()
        confirmation.settle(fate)
        return confirmation

    relay = Relay(database, Bell(), publish)

    def round_once():
        relay._stopping = False
        relay._committed.wait = lambda _: relay.stop()
        relay.run()

    return relay, round_once


def test_an_event_that_the_broker_does_not_take_grows_old_until_it_is_taken():
    database = Database(now() - timedelta(minutes=1))
    relay, round_once = relay_over(database, LOST)

    round_once()
    assert relay.oldest_seconds >= 60
    database.rows = []
    round_once()
    assert relay.oldest_seconds == 0


def a_row(number, aggregate, sequence, event_type="order.placed"):
    return SimpleNamespace(id=number, service="order", type=event_type, aggregate_id=aggregate, sequence=sequence,
                           event_id=f"e-{number}", version=1, occurred_at=now(), request_id="r", traceparent=None,
                           data={})  # fmt: skip


class Broker:
    """Says of each event type what it is told to; :attr:`sent` are the ids, in their order."""

    def __init__(self, **fates):
        self.fates = fates
        self.sent = []

    def publish(self, message, *, exchange, routing_key):
        del exchange
        self.sent.append(int(message.properties["message_id"].removeprefix("e-")))
        confirmation = Confirmation()
        confirmation.settle(self.fates.get(routing_key.removeprefix("order."), CONFIRMED))
        return confirmation


class Outbox:
    """In place of the module: rows in memory."""

    BATCH = 100

    def __init__(self, *rows):
        self.rows = list(rows)
        self.marked = []

    def unpublished(self, _, *, without=()):
        held = {row.aggregate_id for row in self.rows if row.type in without}
        return [row for row in self.rows if row.aggregate_id not in held][: self.BATCH]

    def waiting_since(self, _):
        return self.rows[0].occurred_at if self.rows else None

    def mark_published(self, _, ids):
        self.marked += ids
        self.rows = [row for row in self.rows if row.id not in ids]


@pytest.fixture
def outbox(monkeypatch):
    def outbox(*rows):
        fake = Outbox(*rows)
        monkeypatch.setattr("shared.nameko_ext.relay.outbox", fake)
        return fake

    return outbox


class Longest:
    def uniform(self, _, longest):
        return longest


def a_relay(broker, clock=time.monotonic):
    return Relay(None, Bell(), broker.publish, Holds(clock, Longest()))


@pytest.mark.parametrize("no", [NACKED, UNROUTABLE])
def test_what_follows_a_refused_event_of_its_aggregate_is_not_sent_and_the_others_are(outbox, no):
    written = outbox(
        a_row(1, "o-1", 1), a_row(2, "o-1", 2, "order.cancelled"), a_row(3, "o-2", 2, "order.cancelled"),
        a_row(4, "o-1", 3, "order.cancelled"), a_row(5, "o-2", 3, "order.cancelled"),
    )  # fmt: skip
    broker = Broker(placed=no)

    a_relay(broker)._relay_batch(None)

    assert broker.sent == [1, 3, 5]
    assert written.marked == [3, 5]


def test_a_batch_goes_in_as_many_waves_as_the_longest_history_in_it():
    rows = [a_row(1, "a", 1), a_row(2, "a", 2), a_row(3, "b", 7), a_row(4, "a", 3), a_row(5, "b", 8)]

    assert [[row.id for row in wave] for wave in in_waves(rows)] == [[1, 3], [2, 5], [4]]


def test_what_is_refused_is_left_alone_for_ever_longer_and_sent_in_order_at_last(outbox):
    written = outbox(a_row(1, "o-1", 1), a_row(2, "o-1", 2, "order.cancelled"))
    broker, seconds = Broker(placed=NACKED), [0.0]
    relay = a_relay(broker, lambda: seconds[0])

    tries = []
    for seconds[0] in range(40):
        before = len(broker.sent)
        relay._relay_batch(None)
        tries += [seconds[0]] * (len(broker.sent) - before)
    assert tries == [0, 1, 3, 7, 15, 25, 35]
    assert relay._waiting_since == written.rows[0].occurred_at  # the alarm hears of it also while it is held

    broker.fates, seconds[0] = {}, 45.0
    relay._relay_batch(None)
    relay._relay_batch(None)
    assert broker.sent[-2:] == written.marked == [1, 2]


def test_a_queue_that_has_room_again_and_is_full_again_is_tried_again_soon():
    seconds = [0.0]
    holds = Holds(lambda: seconds[0], Longest())
    for _ in range(5):
        holds.learn(taken=(), refused=["order.placed"])

    holds.learn(taken=["order.placed"], refused=["order.placed"])

    assert holds.current == ["order.placed"]
    seconds[0] = FIRST_SECONDS
    assert holds.current == []


def test_a_lost_link_is_no_refusal_and_nothing_is_sent_after_it(outbox):
    written = outbox(a_row(1, "o-1", 1), a_row(2, "o-2", 1, "order.cancelled"), a_row(3, "o-2", 2))
    broker = Broker(placed=LOST)
    relay = a_relay(broker)

    for _ in range(2):
        with pytest.raises(NotConfirmed):
            relay._relay_batch(None)

    assert broker.sent == [1, 2, 1, 3]
    assert (written.marked, relay._holds.current) == ([2], [])


class Deaf(Broker):
    """Says nothing of some types of events; it takes :attr:`seconds` to know that of one."""

    def __init__(self, *types):
        super().__init__()
        self.types = set(types)
        self.seconds = 0.0

    def publish(self, message, **where):
        if where["routing_key"].removeprefix("order.") not in self.types:
            return super().publish(message, **where)
        super().publish(message, **where)
        return SimpleNamespace(word=self._wait_in_vain)

    def _wait_in_vain(self, seconds):
        self.seconds += seconds
        return SILENT

    def relay(self, *, renew=lambda: None):
        return Relay(None, Bell(), self.publish, Holds(self.clock, Longest()), renew=renew, clock=self.clock)

    def clock(self):
        return self.seconds


def one_round(relay):
    """As :meth:`Relay.run` goes on."""
    with suppress(NotConfirmed):
        relay._relay_batch(None)


def test_a_queue_that_says_nothing_stops_no_other_events_though_a_batch_of_its_own_is_before_them(outbox):
    written = outbox(*(a_row(number, f"o-{number}", 1) for number in range(120)), a_row(120, "c", 1, "order.cancelled"))
    broker = Deaf("placed")
    relay = broker.relay()

    one_round(relay)
    one_round(relay)

    assert written.marked == [120]
    assert broker.seconds == CONFIRM_SECONDS  # for a hundred together
    assert relay._waiting_since == written.rows[0].occurred_at


def test_of_a_type_of_which_nothing_is_said_nor_of_its_aggregates_anything_is_sent_while_it_is_held(outbox):
    written = outbox(
        a_row(1, "o-1", 1), a_row(2, "o-2", 1, "order.cancelled"), a_row(3, "o-1", 2, "order.cancelled"),
        a_row(4, "o-2", 2), a_row(5, "o-3", 1, "order.cancelled"), a_row(6, "o-2", 3, "order.cancelled"),
    )  # fmt: skip
    broker = Deaf("placed")
    relay = broker.relay()

    one_round(relay)
    assert (broker.sent, written.marked) == ([1, 2, 5], [2, 5])
    one_round(relay)
    assert broker.sent == [1, 2, 5]

    broker.types, broker.seconds = set(), broker.seconds + FIRST_SECONDS
    one_round(relay)
    assert broker.sent[3:] == [1]  # the first of its type, alone
    one_round(relay)
    assert broker.sent[4:] == [3, 4, 6]


def test_a_queue_that_says_nothing_is_asked_again_by_one_event_after_all_others(outbox):
    written = outbox(
        a_row(1, "o-1", 1), a_row(2, "o-2", 1), a_row(3, "o-3", 1, "order.cancelled"),
        a_row(4, "o-3", 2), a_row(5, "o-4", 1, "order.cancelled"), a_row(6, "o-4", 2, "order.cancelled"),
    )  # fmt: skip
    broker = Deaf("placed")
    relay = broker.relay()
    one_round(relay)
    written.rows.append(a_row(7, "o-5", 1, "order.cancelled"))
    broker.sent.clear()

    broker.seconds += FIRST_SECONDS
    one_round(relay)

    assert broker.sent == [6, 7, 1]


def test_a_broker_that_said_nothing_of_anything_is_asked_again_by_one_event_of_each_type(outbox):
    written = outbox(a_row(1, "o-1", 1), a_row(2, "o-2", 1), a_row(3, "o-3", 1, "order.cancelled"))
    broker = Deaf("placed", "cancelled")
    relay = broker.relay()
    one_round(relay)

    broker.types, broker.seconds = set(), broker.seconds + FIRST_SECONDS
    one_round(relay)
    one_round(relay)

    assert (broker.sent[3:], written.marked) == ([1, 3, 2], [1, 3, 2])


def test_what_a_silent_queue_owes_is_forgotten_with_its_channel(outbox):
    outbox(a_row(1, "o-1", 1), a_row(2, "o-2", 1, "order.cancelled"))
    renewed = []

    relay = Deaf("placed").relay(renew=lambda: renewed.append(1))
    one_round(relay)
    one_round(relay)

    assert renewed == [1]


def test_an_event_that_cannot_be_noted_is_published_once(outbox):
    written = outbox(a_row(1, "o-1", 1), a_row(2, "o-2", 1))
    broker, faults = Broker(), iter([True] * 3)
    relay, mark = a_relay(broker), written.mark_published

    def full(connection, ids):
        if next(faults, False):
            raise OperationalError("UPDATE", {}, Exception("No space left on device"))
        mark(connection, ids)

    written.mark_published = full
    for _ in range(3):
        with pytest.raises(OperationalError):
            relay._relay_batch(None)
    relay._relay_batch(None)

    assert (broker.sent, written.marked) == ([1, 2], [1, 2])


class Alarmed(Broker):
    """Reads nothing while :attr:`is_out_of_memory`, and says so in the middle of it; then it has all that was sent."""

    def __init__(self, alarm):
        super().__init__()
        self.windows = iter(alarm)
        self.is_out_of_memory = False

    def publish(self, message, **where):
        super().publish(message, **where)
        broker = self

        class Slow(Confirmation):
            def word(self, seconds=0):
                del seconds
                broker.is_out_of_memory = next(broker.windows)
                return SILENT if broker.is_out_of_memory else CONFIRMED

        return Slow()


@pytest.mark.parametrize("alarm", [[True, True, False], [True] * 30 + [False]])
def test_an_event_that_waits_for_the_end_of_an_alarm_is_sent_once(outbox, alarm):
    written = outbox(a_row(1, "o-1", 1))
    broker = Alarmed(alarm)
    relay = Relay(None, Bell(), broker.publish, is_blocked=lambda: broker.is_out_of_memory)

    relay._relay_batch(None)

    assert (broker.sent, written.marked) == ([1], [1])


def test_an_alarm_that_ends_as_the_waiting_does_leaves_time_for_the_confirm(outbox):
    written = outbox(a_row(1, "o-1", 1))
    said, told = iter([SILENT, CONFIRMED]), iter([True, False, False, False])
    confirmation = SimpleNamespace(word=lambda _: next(said))
    relay = Relay(None, Bell(), lambda *_, **__: confirmation, is_blocked=lambda: next(told))

    relay._relay_batch(None)

    assert written.marked == [1]


class Session:
    """Counts the words it hears; says no more once :attr:`has_ended`."""

    def __init__(self):
        self.words = 0
        self.has_ended = False

    def execute(self, *_):
        if self.has_ended:
            raise OperationalError("SELECT 1", {}, Exception("terminating connection due to idle-session timeout"))
        self.words += 1


def test_a_leader_that_waits_for_the_broker_keeps_its_lead(outbox, monkeypatch):
    monkeypatch.setattr("shared.nameko_ext.relay.KEEP_SECONDS", 0.0)
    outbox(a_row(1, "o-1", 1))
    broker, session = Alarmed([True] * 30 + [False]), Session()
    relay = Relay(None, Bell(), broker.publish, is_blocked=lambda: broker.is_out_of_memory)

    relay._relay_batch(session)

    assert session.words >= 30


def test_a_leader_whose_session_has_ended_while_it_hung_sends_nothing_more(outbox, monkeypatch):
    monkeypatch.setattr("shared.nameko_ext.relay.KEEP_SECONDS", 0.0)
    outbox(a_row(1, "o-1", 1), a_row(2, "o-1", 2))
    broker, session = Broker(), Session()
    session.has_ended = True

    with pytest.raises(OperationalError):
        a_relay(broker)._relay_batch(session)

    assert broker.sent == [1]


def test_a_relay_that_is_told_to_stop_in_an_alarm_stops(outbox):
    written = outbox(a_row(1, "o-1", 1))
    broker = Alarmed([True] * 3)
    relay = Relay(None, Bell(), broker.publish, is_blocked=lambda: broker.is_out_of_memory)
    relay.stop()

    with pytest.raises(NotConfirmed):
        relay._relay_batch(None)

    assert (broker.sent, written.marked) == ([1], [])


def test_a_link_that_breaks_on_the_way_forgets_nothing_that_was_confirmed(outbox):
    written = outbox(a_row(1, "o-1", 1), a_row(2, "o-2", 1))
    broker = Broker()
    relay = a_relay(broker)

    def publish(message, **where):
        if broker.sent:
            raise LinkDown("outbox")
        return broker.publish(message, **where)

    relay._publish = publish
    with pytest.raises(LinkDown):
        relay._relay_batch(None)

    assert (written.marked, relay._holds.current) == ([1], [])


def test_a_replica_that_does_not_relay_knows_of_no_age():
    database = Database(now())
    database.lock_is_free = False
    relay, round_once = relay_over(database, CONFIRMED)

    round_once()

    assert relay.oldest_seconds is None


def test_each_confirmed_event_counts_as_published_once():
    def published():
        return registry.get_sample_value("kirana_events_published_total", {"type": "order.placed"}) or 0

    before = published()
    database = Database(now())

    relay_over(database, LOST)[1]()
    assert published() == before
    relay_over(database, CONFIRMED)[1]()
    assert published() == before + 1
