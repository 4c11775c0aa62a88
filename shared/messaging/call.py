"""What is known about the call being served, for whoever works for it in the same greenlet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec

from shared.resilience.deadline import Deadline
from shared.values.identifiers import new_id


class Marks(msgspec.Struct):
    """What the work found out on the way, for the reply's headers."""

    replayed: bool = False


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call, event or tick. ``method`` is ``<service>.<method>``; ``redelivered`` says it may have run before."""

    request_id: str
    method: str = ""
    deadline: Deadline | None = None
    operation_id: str | None = None
    fingerprint: str | None = None
    user_id: str | None = None
    traceparent: str | None = None
    call_id_stack: tuple[str, ...] = ()
    sent_at_ms: int | None = None
    redelivered: bool = False
    marks: Marks = msgspec.field(default_factory=Marks)


_CURRENT: ContextVar[Call | None] = ContextVar("kirana_call", default=None)


def current() -> Call:
    """The call this greenlet works for; outside of any, a new one that belongs to nobody."""
    return _CURRENT.get() or Call(request_id=new_id())


@contextmanager
def serving(call: Call) -> Iterator[Call]:
    """Make ``call`` the current one within the block."""
    token = _CURRENT.set(call)
    try:
        yield call
    finally:
        _CURRENT.reset(token)
