"""Who relays when there are several, and the one that does hangs."""

import threading
import time
from contextlib import contextmanager
from itertools import count

import pytest
from sqlalchemy import insert, select, text

from shared.messaging.tables import metadata
from shared.messaging.tables import outbox as table
from shared.nameko_ext.publishing import CONFIRMED, Confirmation
from shared.nameko_ext.relay import LEAD_SECONDS, LOCK_KEY, Relay
from shared.persistence.engine import build_engine
from tests.builders.waiting import eventually

pytestmark = pytest.mark.takes(40)

NUMBERS = count(1)
LEADERS = text(
    "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND (classid::bigint << 32) + objid::bigint = :key"
)


class Pulse:
    """In place of the bell. Stopped, it holds the relay where it stands between two statements, as SIGSTOP would."""

    def __init__(self):
        self.goes = threading.Event()
        self.goes.set()

    def wait(self, seconds):
        time.sleep(min(seconds, 0.1))
        self.goes.wait()

    def ring(self):
        self.goes.set()


class Broker:
    def __init__(self):
        self.sent = []

    def publish(self, message, **_):
        self.sent.append(message.properties["message_id"])
        confirmation = Confirmation()
        confirmation.settle(CONFIRMED)
        return confirmation


class Replica:
    def __init__(self, url, broker):
        self.pulse = Pulse()
        self.engine = build_engine(url, connections=1, application="test")
        self.relay = Relay(self.engine, self.pulse, broker.publish)
        self._thread = threading.Thread(target=self.relay.run, daemon=True)

    @contextmanager
    def running(self):
        self._thread.start()
        try:
            yield self
        finally:
            self.relay.stop()
            self._thread.join(60)
            self.engine.dispose()


@pytest.fixture
def url(postgres):
    return postgres.create(f"relays_{next(NUMBERS)}")


@pytest.fixture
def connection(url):
    engine = build_engine(url, connections=2, application="test")
    metadata.create_all(engine)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield connection
    engine.dispose()


def write(connection, *events):
    for aggregate, sequence in events:
        row = {"service": "catalog", "type": "product.changed", "version": 1, "aggregate_id": aggregate}
        connection.execute(
            insert(table).values(event_id=f"{aggregate}/{sequence}", sequence=sequence, request_id="r", data={}, **row)
        )


def waiting(connection):
    return connection.execute(select(table.c.id).where(table.c.published_at.is_(None))).all()


def leaders(connection):
    return connection.execute(LEADERS, {"key": LOCK_KEY}).scalars().all()


def test_a_leader_that_hangs_is_followed_by_another_and_leads_no_more_when_it_goes_on(url, connection):
    broker = Broker()
    with Replica(url, broker).running() as first:
        eventually(lambda: leaders(connection), what="a leader")
        with Replica(url, broker).running() as second:
            write(connection, ("a", 1))
            eventually(lambda: not waiting(connection), what="the first event")
            first.pulse.goes.clear()
            time.sleep(0.5)
            write(connection, ("a", 2), ("b", 1), ("a", 3))

            eventually(lambda: not waiting(connection), what="the events, sent by the other")
            (its_successor,) = leaders(connection)
            first.pulse.goes.set()
            eventually(lambda: first.relay.oldest_seconds is None, what="the first to know that it leads no more")
            write(connection, ("a", 4))
            eventually(lambda: not waiting(connection), what="the last event")

            assert second.relay.oldest_seconds is not None
            assert leaders(connection) == [its_successor]

    assert sorted(broker.sent) == ["a/1", "a/2", "a/3", "a/4", "b/1"]
    assert [sent for sent in broker.sent if sent.startswith("a")] == ["a/1", "a/2", "a/3", "a/4"]


def test_a_leader_that_has_nothing_to_do_keeps_its_lead_and_gives_it_up_clean(url, connection):
    with Replica(url, Broker()).running() as replica:
        eventually(lambda: leaders(connection), what="a leader")
        before = leaders(connection)
        time.sleep(LEAD_SECONDS + 2)
        assert leaders(connection) == before

        replica.relay.stop()
        eventually(lambda: not leaders(connection), what="the end of the lead")
        with replica.engine.connect() as pooled:
            assert pooled.execute(text("SHOW idle_session_timeout")).scalar() == "0"
            assert pooled.execute(text("SELECT pg_backend_pid()")).scalar() == before[0]
