"""Carries written events to the broker: one relay at a time per database, each confirmed before it counts.

The events of an aggregate leave in their order: the next when the broker has the one before. What the broker refuses
waits with all that its aggregate wrote later, while the others leave.
"""

from __future__ import annotations

import logging
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
import structlog
from amqp.basic_message import Message
from eventlet.support.greenlets import GreenletExit
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from shared.contracts import headers
from shared.contracts.events import EVENT_TYPES
from shared.contracts.exchanges import events_of
from shared.messaging import outbox
from shared.metrics.counting import published as count_published
from shared.nameko_ext import wire
from shared.nameko_ext.bell import Bell
from shared.nameko_ext.broker import PERSISTENT
from shared.nameko_ext.holds import Holds
from shared.nameko_ext.link import LinkDown, WriteFailed
from shared.nameko_ext.publishing import CONFIRMED, LOST, NACKED, UNROUTABLE, Confirmation, NotConfirmed
from shared.nameko_ext.tracing import Departure
from shared.values.times import now, to_rfc3339

log = structlog.get_logger()

LOCK_KEY = 0x6B6972616E61  # "kirana": the relay's advisory lock in its service's own database
POLL_SECONDS = 0.5
FOLLOWER_SECONDS = 1.0
LEAD_SECONDS = 10.0
"""So long PostgreSQL lets the lock's session be silent. A process that hangs is soon followed by another replica."""
KEEP_SECONDS = 2.0
"""A leader that waits for the broker says a word to PostgreSQL that often."""
LEAD = text("SELECT set_config('idle_session_timeout', :milliseconds, false) WHERE pg_try_advisory_lock(:key)")
"""One statement, so that no process can hang with the lock and without the limit."""
MUST_BE_HEARD = frozenset((event.service, event.name) for event in EVENT_TYPES if event.must_be_heard)

REFUSED = frozenset((NACKED, UNROUTABLE))
"""The broker's own no; silence and a lost link say nothing of an event."""

Publish = Callable[..., Confirmation]


@dataclass(slots=True)
class Told:
    """What the broker said of the events of a batch."""

    taken: list[Any] = field(default_factory=list)
    refused: list[Any] = field(default_factory=list)
    unknown: list[Any] = field(default_factory=list)

    def add(self, row: Any, fate: str) -> None:
        """One more is known."""
        rows = self.taken if fate == CONFIRMED else self.refused if fate in REFUSED else self.unknown
        rows.append(row)

    def without_followers(self, wave: Iterable[Any]) -> list[Any]:
        """Those of the wave that follow no refused event of their aggregate."""
        stuck = {row.aggregate_id for row in self.refused}
        return [row for row in wave if row.aggregate_id not in stuck]


class Relay:
    """Runs in one greenlet of each replica; the one that holds the lock works, the others ask for it now and then.

    Whoever holds it and says nothing to PostgreSQL for :data:`LEAD_SECONDS` loses its session, and the lock with it.
    """

    def __init__(
        self,
        engine: Engine,
        committed: Bell,
        publish: Publish,
        holds: Holds | None = None,
        *,
        is_blocked: Callable[[], bool] = lambda: False,
    ) -> None:
        """``is_blocked`` says whether the broker is out of memory or disk."""
        self._engine = engine
        self._committed = committed
        self._publish = publish
        self._is_blocked = is_blocked
        self._holds = holds or Holds()
        self._stopping = False
        self._spoke_at = -math.inf
        self._leads = False  # as of the last attempt: who waits for the broker to come back tries again and again
        self._waiting_since: datetime | None = None

    def stop(self) -> None:
        """Finish the batch, then return from :meth:`run`."""
        self._stopping = True
        self._committed.ring()

    @property
    def oldest_seconds(self) -> float | None:
        """The age of the oldest event that waits; ``None`` while another replica leads, who knows."""
        if not self._leads:
            return None
        return (now() - self._waiting_since).total_seconds() if self._waiting_since else 0.0

    def run(self) -> None:
        """Relay until :meth:`stop`; nothing but that ends it."""
        while not self._stopping:
            try:
                with self._leading() as connection:
                    if connection is not None:
                        self._relay(connection)
            except GreenletExit:
                raise
            except (SQLAlchemyError, NotConfirmed, LinkDown, WriteFailed) as fault:
                log.warning("outbox.waiting", reason=f"{type(fault).__name__}: {fault}"[:300])
            except Exception:  # an event that cannot be relayed must not end the relay
                log.exception("outbox.failed")
            if not self._stopping:
                self._committed.wait(FOLLOWER_SECONDS * random.uniform(0.5, 1))  # noqa: S311  # jitter, not a secret

    @contextmanager
    def _leading(self) -> Iterator[Connection | None]:
        """A connection that holds the lock, or ``None`` while another replica has it."""
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            self._leads = bool(
                connection.execute(LEAD, {"key": LOCK_KEY, "milliseconds": str(int(LEAD_SECONDS * 1000))}).scalar()
            )
            if not self._leads:
                yield None
                return
            try:
                yield connection
            finally:
                _unlock(connection)

    def _relay(self, connection: Connection) -> None:
        while not self._stopping:
            if self._relay_batch(connection) < outbox.BATCH:
                self._committed.wait(POLL_SECONDS)

    def _relay_batch(self, connection: Connection) -> int:
        rows = self._look(connection)
        told = Told()
        try:
            for wave in in_waves(rows):
                self._send(connection, told.without_followers(wave), told)
                if told.unknown:
                    raise NotConfirmed(f"{len(rows) - len(told.taken)} events wait")
        finally:
            self._settle(connection, told)
        return len(rows)

    def _look(self, connection: Connection) -> Sequence[Any]:
        """The next batch; how long the oldest event waits counts those that are held as well."""
        held = self._holds.current
        self._spoke_at = time.monotonic()
        rows = outbox.unpublished(connection, without=held)
        if held:
            self._waiting_since = outbox.waiting_since(connection)
        else:
            self._waiting_since = rows[0].occurred_at if rows else None
        return rows

    def _send(self, connection: Connection, wave: Iterable[Any], told: Told) -> None:
        """Publish them together, then hear what became of each, also when the link breaks on the way."""
        sent: list[tuple[Any, Confirmation, Departure]] = []
        try:
            for row in wave:
                departure = Departure(row)
                message = message_for(row, departure.context())
                confirmation = self._publish(message, exchange=events_of(row.service), routing_key=row.type)
                sent.append((row, confirmation, departure))
        finally:
            for row, confirmation, departure in sent:
                fate = fate_of(row, self._word_on(confirmation, connection))
                departure.arrived(well=fate == CONFIRMED)
                told.add(row, fate)

    def _word_on(self, confirmation: Confirmation, connection: Connection) -> str:
        """What the broker says of it. In an alarm it has read nothing yet: sent again, the event would come twice."""
        is_excused = True
        said = LOST
        while is_excused and said == LOST:
            is_excused = self._is_blocked()
            said = confirmation.wait()
            self._keep_lead(connection)
            is_excused = (is_excused or self._is_blocked()) and not self._stopping
        return said

    def _keep_lead(self, connection: Connection) -> None:
        """Raises ``SQLAlchemyError`` when another may lead: what it sends now must not come from here as well."""
        if time.monotonic() - self._spoke_at >= KEEP_SECONDS:
            connection.execute(text("SELECT 1"))
            self._spoke_at = time.monotonic()

    def _settle(self, connection: Connection, told: Told) -> None:
        refused = {row.type for row in told.refused}
        self._holds.learn(taken={row.type for row in told.taken}, refused=refused)
        if refused:
            log.warning("outbox.refused", types=sorted(refused), events=len(told.refused))
        if told.taken:
            outbox.mark_published(connection, [row.id for row in told.taken])
        for row in told.taken:
            count_published(row.type)


def in_waves(rows: Iterable[Any]) -> list[list[Any]]:
    """First the oldest event of each aggregate, then the second of each that has one, and so on.

    None is then sent before those that go before it have arrived, and those that have no order leave together.
    """
    waves: list[list[Any]] = []
    seen: Counter[str] = Counter()
    for row in rows:
        if seen[row.aggregate_id] == len(waves):
            waves.append([])
        waves[seen[row.aggregate_id]].append(row)
        seen[row.aggregate_id] += 1
    return waves


def message_for(row: Any, trace: Mapping[str, str | None]) -> Message:
    """The event as it travels: the envelope as JSON, persistent, its id as the message's id, and its trace."""
    envelope = {
        "event_id": row.event_id,
        "type": row.type,
        "version": row.version,
        "occurred_at": to_rfc3339(row.occurred_at),
        "aggregate_id": row.aggregate_id,
        "sequence": row.sequence,
        "request_id": row.request_id,
        "data": row.data,
    }
    context = {
        headers.REQUEST_ID: row.request_id,
        **trace,
        headers.CALL_ID_STACK: [f"{row.service}.outbox.{row.event_id}"],
    }
    return Message(
        orjson.dumps(envelope),
        content_type=wire.CONTENT_TYPE,
        content_encoding="utf-8",
        delivery_mode=PERSISTENT,
        message_id=row.event_id,
        application_headers=headers.on_the_wire({name: value or None for name, value in context.items()}),
    )


def fate_of(row: Any, said: str) -> str:
    """Confirmed when all who listen have it; that nobody does is fine unless the event must be heard."""
    if said != UNROUTABLE:
        return said
    is_awaited = (row.service, row.type) in MUST_BE_HEARD
    log.log(logging.WARNING if is_awaited else logging.DEBUG, "outbox.nobody_listens", type=row.type)
    return UNROUTABLE if is_awaited else CONFIRMED


def _unlock(connection: Connection) -> None:
    """A pooled connection must not keep the lock nor the limit; one that is broken has lost them anyway."""
    if connection.invalidated:
        return
    try:
        connection.execute(text("RESET idle_session_timeout"))
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK_KEY})
    except SQLAlchemyError:
        connection.invalidate()
    except BaseException:
        connection.invalidate()
        raise
