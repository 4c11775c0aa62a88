"""What the broker refuses neither overtakes nor is overtaken, and stands in nobody else's way."""

import time

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import SQLAlchemyError

from shared.messaging import outbox
from shared.messaging.tables import metadata
from shared.messaging.tables import outbox as table
from shared.nameko_ext.bell import Bell
from shared.nameko_ext.holds import Holds
from shared.nameko_ext.publishing import CONFIRMED, NACKED, Confirmation
from shared.nameko_ext.relay import Relay
from shared.persistence.engine import build_engine

PLACED, CANCELLED = "order.placed", "order.cancelled"


@pytest.fixture(scope="module")
def engine(postgres):
    engine = build_engine(postgres.create("outbox"), connections=2, application="test")
    metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def connection(engine):
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(table.delete())
        yield connection


def write(connection, *events):
    for aggregate, sequence, event_type in events:
        row = {"service": "order", "type": event_type, "version": 1, "aggregate_id": aggregate, "sequence": sequence}
        connection.execute(insert(table).values(event_id=f"{aggregate}/{sequence}", request_id="r", data={}, **row))


def ids(rows):
    return [row.event_id for row in rows]


def published(connection):
    return ids(connection.execute(select(table).where(table.c.published_at.is_not(None)).order_by(table.c.id)))


class FullQueue:
    """Refuses every order that is placed, until there is room."""

    def __init__(self):
        self.is_full = True
        self.sent = []

    def publish(self, message, *, exchange, routing_key):
        del exchange
        self.sent.append(message.properties["message_id"])
        confirmation = Confirmation()
        confirmation.settle(NACKED if self.is_full and routing_key == PLACED else CONFIRMED)
        return confirmation


def test_a_look_passes_over_the_held_and_what_their_aggregates_wrote_later(connection):
    write(connection, ("a", 1, CANCELLED), ("a", 2, PLACED), ("b", 1, PLACED), ("a", 3, CANCELLED), ("c", 1, CANCELLED))

    assert ids(outbox.unpublished(connection)) == ["a/1", "a/2", "b/1", "a/3", "c/1"]
    assert ids(outbox.unpublished(connection, without=[PLACED])) == ["a/1", "c/1"]
    assert ids(outbox.unpublished(connection, without=[PLACED, CANCELLED])) == []


def test_what_was_published_holds_nothing(connection):
    write(connection, ("a", 1, PLACED), ("a", 2, CANCELLED))
    outbox.mark_published(connection, [outbox.unpublished(connection)[0].id])

    assert ids(outbox.unpublished(connection, without=[PLACED])) == ["a/2"]


def test_the_oldest_that_waits_is_known_though_it_is_held(connection):
    assert outbox.waiting_since(connection) is None
    write(connection, ("a", 1, PLACED), ("b", 1, CANCELLED))

    assert outbox.waiting_since(connection) == outbox.unpublished(connection)[0].occurred_at


def test_newer_events_leave_while_more_than_a_batch_of_older_ones_is_refused(connection):
    count = 2 * outbox.BATCH + 50
    write(connection, *((f"o-{number}", 1, PLACED) for number in range(count)))
    write(connection, ("o-0", 2, CANCELLED), ("newer", 2, CANCELLED))
    broker, seconds = FullQueue(), [0.0]
    relay = Relay(None, Bell(), broker.publish, Holds(lambda: seconds[0]))

    relay._relay_batch(connection)
    relay._relay_batch(connection)
    assert published(connection) == ["newer/2"]
    assert len(broker.sent) == outbox.BATCH + 1
    assert relay._waiting_since is not None

    broker.is_full, seconds[0] = False, 10.0
    broker.sent.clear()
    while relay._relay_batch(connection):
        pass
    assert broker.sent == [*(f"o-{number}/1" for number in range(count)), "o-0/2"]


def test_a_database_that_can_be_read_only_gets_no_event_sent_twice(connection):
    write(connection, ("a", 1, PLACED), ("b", 1, PLACED))
    broker = FullQueue()
    broker.is_full = False
    relay = Relay(None, Bell(), broker.publish)
    connection.exec_driver_sql("SET default_transaction_read_only = on")
    try:
        for _ in range(3):
            with pytest.raises(SQLAlchemyError, match="read-only"):
                relay._relay_batch(connection)
    finally:
        connection.exec_driver_sql("SET default_transaction_read_only = off")

    relay._relay_batch(connection)

    assert broker.sent == published(connection) == ["a/1", "b/1"]


@pytest.mark.parametrize("held", [[], [PLACED]])
def test_a_look_over_many_that_wait_is_quick_whatever_the_planner_believes(connection, held):
    connection.exec_driver_sql(
        "INSERT INTO outbox (event_id, service, type, version, aggregate_id, sequence, request_id, data)"
        f" SELECT n, 'order', '{PLACED}', 1, n, 1, 'r', '{{}}' FROM generate_series(1, 20000) n"
    )
    write(connection, ("newer", 1, CANCELLED))

    began = time.monotonic()
    rows = outbox.unpublished(connection, without=held)

    assert len(rows) == (1 if held else outbox.BATCH)
    assert time.monotonic() - began < 2  # 0.05 s on a free machine; a join of all with all takes minutes
