"""One transaction per message: opened by the door, bounded by the caller's deadline, checked just before COMMIT."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, TypeVar

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from shared.contracts.refusals import (
    NOT_ANSWERS,
    DeadlinePassed,
    Refusal,
    Unavailable,
)
from shared.messaging import operations
from shared.messaging.call import Call, current
from shared.messaging.outbox import WROTE_EVENTS
from shared.persistence.ahead import AHEAD, Ahead, put_ahead
from shared.persistence.connection import begin_nothing_by_itself
from shared.persistence.engine import (
    CONNECTIONS,
    DEFAULT_LOCK_LIMIT,
    DEFAULT_STATEMENT_LIMIT,
    POOL_PATIENCE,
    milliseconds,
)
from shared.persistence.faults import committing, is_conflict, working

log = structlog.get_logger()

T = TypeVar("T")

ATTEMPTS = 3
WAIT_STEP_SECONDS = 0.1

KEPT_SHARE = 0.9
"""While so much is left of the time that a transaction began with, its first limits do: statements overrun the deadline
by a tenth of that time at most, and a transaction of milliseconds, as nearly all are, sets its limits once."""

_savepoints = itertools.count()
_OPEN: ContextVar[Session | None] = ContextVar("kirana_open_session", default=None)


def _nothing() -> None:
    """Nobody waits for commits."""


class Scope:
    """Hands out sessions. A block within another block of the same greenlet joins its transaction.

    ``at_once`` blocks have a connection; others wait for one, for 5 s or up to the deadline. Raises
    :class:`Unavailable` when the database is away or a connection or lock is not to be had (nothing was changed),
    :class:`DeadlinePassed` when the caller has gone, :class:`OutcomeUnknown` when a COMMIT got no answer.
    """

    operations = operations

    def __init__(
        self, engine: Engine, *, at_once: int = CONNECTIONS, on_events_written: Callable[[], None] = _nothing
    ) -> None:
        self.engine = engine
        self._room = threading.BoundedSemaphore(at_once)
        self.waiting = 0
        """Who waits for a connection now."""
        self._on_events_written = on_events_written

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that cannot write. Each statement is a transaction, and a message, of its own."""
        if (open_session := _OPEN.get()) is not None:
            yield open_session
            return
        with self._place(), _session(self.engine) as session, working(_has_gone):
            _open(session, Ahead(_read_only, each_time=True))
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session that is committed at the end of the block, unless the deadline has passed by then."""
        if (open_session := _OPEN.get()) is not None:
            yield open_session
            return
        with self._place(), _session(self.engine) as session:
            with working(_has_gone):
                limits = _Limits()
                _open(session, Ahead(limits.begin, each_time=False, go_on=limits.renew))
                token = _OPEN.set(session)
                try:
                    yield session
                finally:
                    _OPEN.reset(token)
                session.flush()
            _check_deadline()
            with committing():
                session.commit()
            if session.info.pop(WROTE_EVENTS, False):
                self._on_events_written()

    def once(self, work: Callable[[Session], T]) -> T | Any:
        """Run ``work`` in one transaction with the record of its operation.

        A repetition gives the first answer as plain JSON, or raises the first refusal. Work that loses against another
        transaction (deadlock, serialization) is run again. Raises also :class:`KeyReused` and :class:`StillRunning`.
        """
        for _ in range(ATTEMPTS - 1):
            try:
                return self._once(work)
            except Unavailable as refusal:
                if not is_conflict(refusal.__cause__) or _OPEN.get() is not None:
                    raise
                time.sleep(random.uniform(0.005, 0.05))  # noqa: S311  # jitter, not a secret
        return self._once(work)

    def unless_done(self, prepare: Callable[[], T]) -> T | operations.Replay:
        """What ``prepare`` gives for :meth:`once`, or the replay of an operation that is done.

        For what should hold no connection, such as hashing, and so runs before the operation is claimed. Meanwhile the
        first run may be committed: what ``prepare`` then reads is what that run left behind, and a refusal of it would
        be told of a change that was made. So before it is told, the operation is looked up once more. (Within
        :meth:`once` no run sees what its own operation did, for it waits at the claim.)
        """
        call = current()
        if replay := self.wait_for_first_run(call):
            return replay
        try:
            return prepare()
        except Refusal:
            if replay := self.wait_for_first_run(call):
                return replay
            raise

    def wait_for_first_run(self, call: Call, *, patience_seconds: float = 1.0) -> operations.Replay | None:
        """The replay of an operation whose record is committed; ``None`` if there is no such record.

        Only a saga commits its record when it begins, and is waited for. That of :meth:`once` is committed with the
        effect: ``None`` does not say that nobody is at it, and before the next statement it may be done. Raises
        :class:`StillRunning` when it takes longer than the patience, :class:`KeyReused`.
        """
        give_up_at = time.monotonic() + patience_seconds
        while True:
            with self.reading() as session:
                found = operations.find(session, call.operation_id) if call.operation_id else None
            if found is None:
                return None
            if found.replay is not None or time.monotonic() >= give_up_at:
                return operations.replay_for(found, call)
            time.sleep(WAIT_STEP_SECONDS)

    def _once(self, work: Callable[[Session], T]) -> T | Any:
        call = current()
        with self.writing() as session:
            replay = operations.begin(session, call)
            if replay is None:
                savepoint = f"work_{next(_savepoints)}"
                was_set = put_ahead(session, f"SAVEPOINT {savepoint}; ")
                try:
                    answer = work(session)
                except NOT_ANSWERS:
                    raise
                except Refusal as refusal:
                    if was_set():
                        session.connection().exec_driver_sql(f"ROLLBACK TO SAVEPOINT {savepoint}")
                    replay = operations.finish(session, call.operation_id, refusal=refusal)
                    replay = replay or operations.Replay(refusal=refusal)
                else:
                    operations.finish(session, call.operation_id, answer=answer)
                    replay = operations.Replay(answer=answer)
        return replay.give()

    @contextmanager
    def _place(self) -> Iterator[None]:
        """One of the places; whoever comes first gets it first."""
        _check_deadline()
        deadline = current().deadline
        patience = POOL_PATIENCE if deadline is None else min(POOL_PATIENCE, deadline.remaining())
        if not self._room.acquire(blocking=False):
            self.waiting += 1
            try:
                has_place = self._room.acquire(timeout=max(0.0, patience.total_seconds()))
            except BaseException:
                self._pass_on()
                raise
            finally:
                self.waiting -= 1
            if not has_place:
                _check_deadline()
                raise Unavailable(retry_after=1) from TimeoutError("no connection to the database was free in time")
        try:
            yield
        finally:
            self._room.release()

    def _pass_on(self) -> None:
        """Who is stopped while it waits may just have been woken for a free place: wake the next in its stead."""
        if self._room.acquire(blocking=False):
            self._room.release()


@contextmanager
def _session(engine: Engine) -> Iterator[Session]:
    """A session that is closed in the end. That this fails says only that the connection broke after all was decided.

    What was read has been read, and what was not committed the server rolls back by itself.
    """
    session = Session(engine, expire_on_commit=False)
    try:
        yield session
    finally:
        try:
            session.close()
        except DBAPIError as fault:
            log.info("database.connection_broke", reason=type(fault).__name__)
            session.invalidate()


def _open(session: Session, ahead: Ahead) -> None:
    """Take a connection. What begins and bounds a transaction is ``ahead``."""
    begin_nothing_by_itself(session.connection(execution_options={AHEAD: ahead}))


class _Limits:
    """What bounds the statements of one transaction: PostgreSQL gives each of them as long as was set last."""

    def __init__(self) -> None:
        self._first = DEFAULT_STATEMENT_LIMIT

    def begin(self) -> str:
        """For the first statement. Raises :class:`DeadlinePassed`."""
        self._first = _statement_limit()
        return f"BEGIN; {_written(self._first)}"

    def renew(self) -> str:
        """For each later one: nothing while the first limits do. Raises :class:`DeadlinePassed`.

        What was set since the first does not count, for PostgreSQL takes it back with a savepoint.
        """
        limit = _statement_limit()
        return "" if limit >= KEPT_SHARE * self._first else _written(limit)


def _read_only() -> str:
    """A message with several statements is a transaction, which ends with it."""
    return f"SET TRANSACTION READ ONLY; {_written(_statement_limit())}"


def _statement_limit() -> timedelta:
    """What is left of the deadline. Raises :class:`DeadlinePassed`."""
    _check_deadline()
    deadline = current().deadline
    return DEFAULT_STATEMENT_LIMIT if deadline is None else min(DEFAULT_STATEMENT_LIMIT, deadline.remaining())


def _written(statement: timedelta) -> str:
    lock = min(DEFAULT_LOCK_LIMIT, statement)
    return f"SET LOCAL statement_timeout = {milliseconds(statement)}; SET LOCAL lock_timeout = {milliseconds(lock)}; "


def _has_gone() -> bool:
    deadline = current().deadline
    return deadline is not None and deadline.has_passed()


def _check_deadline() -> None:
    if _has_gone():
        raise DeadlinePassed
