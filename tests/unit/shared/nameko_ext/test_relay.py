"""When an event counts as published."""

from contextlib import nullcontext
from datetime import timedelta
from types import SimpleNamespace

import pytest

from shared.contracts.events import ORDER_PLACED, PRODUCT_CHANGED
from shared.metrics.counting import registry
from shared.nameko_ext.bell import Bell
from shared.nameko_ext.publishing import CONFIRMED, LOST, NACKED, UNROUTABLE, Confirmation
from shared.nameko_ext.relay import Relay, has_arrived
from shared.values.times import now


def counts(event_type, fate):
    confirmation = Confirmation()
    confirmation.settle(fate)
    return has_arrived(SimpleNamespace(service=event_type.service, type=event_type.name), confirmation)


@pytest.mark.parametrize("event_type", [ORDER_PLACED, PRODUCT_CHANGED])
def test_an_event_is_published_when_the_broker_says_so_and_not_before(event_type):
    assert [counts(event_type, fate) for fate in (CONFIRMED, NACKED, LOST)] == [True, False, False]


def test_an_order_that_nobody_can_be_told_of_yet_waits():
    assert not counts(ORDER_PLACED, UNROUTABLE)


def test_an_event_that_nobody_needs_to_hear_is_no_obstacle():
    assert counts(PRODUCT_CHANGED, UNROUTABLE)


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
