"""Carries written events to the broker: one relay at a time per database, each confirmed before it counts.

The events of an aggregate leave in their order: the next when the broker has the one before. What the broker refuses,
or says nothing of, waits with all that its aggregate wrote later, while the others leave.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import structlog
from eventlet.support.greenlets import GreenletExit
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from shared.contracts.exchanges import events_of
from shared.messaging import outbox
from shared.metrics.counting import published as count_published
from shared.nameko_ext.bell import Bell
from shared.nameko_ext.holds import Holds
from shared.nameko_ext.link import LinkDown, WriteFailed
from shared.nameko_ext.publishing import CONFIRM_SECONDS, CONFIRMED, SILENT, Confirmation, NotConfirmed
from shared.nameko_ext.tracing import Departure
from shared.nameko_ext.waves import Told, fate_of, in_waves, message_for, types_of
from shared.values.times import now

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

Publish = Callable[..., Confirmation]


class Relay:
    """Runs in one greenlet of each replica; the one that holds the lock works, the others ask for it now and then.

    Whoever holds it and says nothing to PostgreSQL for :data:`LEAD_SECONDS` loses its session, and the lock with it.
    """

    def __init__(  # noqa: PLR0913  # keyword collaborators
        self,
        engine: Engine,
        committed: Bell,
        publish: Publish,
        holds: Holds | None = None,
        *,
        is_blocked: Callable[[], bool] = lambda: False,
        renew: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``is_blocked`` says whether the broker is out of memory or disk.

        ``renew`` begins with a new channel, on which nothing is due any more; ``clock`` gives monotonic seconds.
        """
        self._engine = engine
        self._committed = committed
        self._publish = publish
        self._is_blocked = is_blocked
        self._renew = renew
        self._clock = clock
        self._holds = holds or Holds()
        self._give_up_at = -math.inf
        self._unmarked: list[Any] = []
        """Confirmed, but PostgreSQL could not note it yet: one batch at most."""
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
        """Raises ``SQLAlchemyError`` before anything is sent when what was sent before cannot be noted."""
        self._mark(connection)
        rows = self._look(connection)
        told = Told()
        try:
            for wave in in_waves(rows, doubted=self._holds.doubted):
                self._send(connection, told.without_followers(wave), told)
                if not told.is_complete:
                    break
        finally:
            self._settle(connection, told)
        if not told.is_complete:
            raise NotConfirmed(f"{len(rows) - len(told.taken)} events wait")
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
            self._give_up_at = self._clock() + CONFIRM_SECONDS
            for row, confirmation, departure in sent:
                fate = fate_of(row, self._word_on(confirmation, connection))
                departure.arrived(well=fate == CONFIRMED)
                told.add(row, fate)

    def _word_on(self, confirmation: Confirmation, connection: Connection) -> str:
        """What the broker says of it before the wave is given up.

        In an alarm it has read nothing yet: sent again, the event would come twice. So the time begins at its end.
        """
        is_excused = True
        said = SILENT
        while is_excused and said == SILENT:
            is_excused = self._is_blocked()
            said = confirmation.word(max(0.0, self._give_up_at - self._clock()))
            self._keep_lead(connection)
            is_excused = (is_excused or self._is_blocked()) and not self._stopping
            if is_excused:
                self._give_up_at = self._clock() + CONFIRM_SECONDS
        return said

    def _keep_lead(self, connection: Connection) -> None:
        """Raises ``SQLAlchemyError`` when another may lead: what it sends now must not come from here as well."""
        if time.monotonic() - self._spoke_at >= KEEP_SECONDS:
            connection.execute(text("SELECT 1"))
            self._spoke_at = time.monotonic()

    def _settle(self, connection: Connection, told: Told) -> None:
        self._learn(told)
        self._unmarked += told.taken
        self._mark(connection)

    def _learn(self, told: Told) -> None:
        """A type of which nothing is said is left alone for a while, as a refused one is.

        RabbitMQ reads no further on a channel while a queue keeps it waiting, and both sides keep what is due on it as
        long as it lives: so the others go on over another one.
        """
        refused, silent = types_of(told.refused), types_of(told.silent)
        self._holds.learn(taken=types_of(told.taken), refused=refused | silent)
        if refused:
            log.warning("outbox.refused", types=sorted(refused), events=len(told.refused))
        if silent:
            log.warning("outbox.silent", types=sorted(silent), events=len(told.silent))
            if not self._stopping:
                self._renew()

    def _mark(self, connection: Connection) -> None:
        """What PostgreSQL cannot note now is noted before anything else is sent: sent again, it would come twice."""
        if not self._unmarked:
            return
        outbox.mark_published(connection, [row.id for row in self._unmarked])
        for row in self._unmarked:
            count_published(row.type)
        self._unmarked.clear()


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
