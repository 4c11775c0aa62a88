"""Says what a database fault means to the caller: nothing happened, too late, or nobody knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from shared.contracts.refusals import DeadlinePassed, OutcomeUnknown, Unavailable

CONFLICTS = frozenset({"40001", "40P01"})  # serialization_failure, deadlock_detected
LOCK_NOT_AVAILABLE = "55P03"
QUERY_CANCELED = "57014"
AWAY_CLASSES = ("08", "53", "57P")  # connection exceptions, insufficient resources, operator intervention


def code_of(fault: BaseException | None) -> str | None:
    """PostgreSQL's SQLSTATE, when the server gave one."""
    return getattr(getattr(fault, "orig", None), "pgcode", None)


def is_conflict(fault: BaseException | None) -> bool:
    """Whether running the whole transaction again may well succeed."""
    return code_of(fault) in CONFLICTS


def is_away(fault: DBAPIError) -> bool:
    """Whether the database could not be reached, went down or had no room."""
    if fault.connection_invalidated:
        return True
    code = code_of(fault)
    if code is None:
        return isinstance(fault, (OperationalError, InterfaceError))
    return code.startswith(AWAY_CLASSES)


@contextmanager
def working(caller_has_gone: Callable[[], bool]) -> Iterator[None]:
    """Before COMMIT nothing has happened: raises :class:`Unavailable` or :class:`DeadlinePassed`."""
    try:
        yield
    except PoolExhausted as fault:
        raise Unavailable(retry_after=1) from fault
    except DBAPIError as fault:
        if code_of(fault) == QUERY_CANCELED and caller_has_gone():
            raise DeadlinePassed from fault
        if is_conflict(fault) or code_of(fault) == LOCK_NOT_AVAILABLE or is_away(fault):
            raise Unavailable(retry_after=1) from fault
        raise


@contextmanager
def committing() -> Iterator[None]:
    """A COMMIT without an answer may have happened: raises :class:`OutcomeUnknown`."""
    try:
        yield
    except DBAPIError as fault:
        if is_conflict(fault):
            raise Unavailable(retry_after=1) from fault
        if is_away(fault):
            raise OutcomeUnknown from fault
        raise
