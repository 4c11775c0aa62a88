"""What is known about the call being served, for whoever works for it in the same greenlet."""

from __future__ import annotations

from contextvars import ContextVar

import msgspec

from shared.resilience.deadline import Deadline
from shared.tracing.spans import Span
from shared.values.identifiers import new_id


class Marks(msgspec.Struct):
    """What the work found out on the way, for the reply's headers."""

    replayed: bool = False


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call, event or tick. ``method`` is ``<service>.<method>``; ``redelivered`` says it may have run before.

    ``beside_version`` is what its caller saw of the figure that changes without a new version.
    ``traceparent`` is its caller's until it runs, and from then on that of ``span``, which is the run's own.
    """

    request_id: str
    method: str = ""
    deadline: Deadline | None = None
    operation_id: str | None = None
    fingerprint: str | None = None
    user_id: str | None = None
    beside_version: int | None = None
    traceparent: str | None = None
    tracestate: str | None = None
    span: Span | None = None
    call_id_stack: tuple[str, ...] = ()
    sent_at_ms: int | None = None
    redelivered: bool = False
    marks: Marks = msgspec.field(default_factory=Marks)


_CURRENT: ContextVar[Call | None] = ContextVar("kirana_call", default=None)


def current() -> Call:
    """The call this greenlet works for; outside of any, a new one that belongs to nobody."""
    return _CURRENT.get() or Call(request_id=new_id())


class serving:  # noqa: N801  # reads like the function it is used as
    """Make ``call`` the current one within the block."""

    __slots__ = ("_call", "_token")

    def __init__(self, call: Call) -> None:
        self._call = call

    def __enter__(self) -> Call:
        self._token = _CURRENT.set(self._call)
        return self._call

    def __exit__(self, *fault: object) -> None:
        _CURRENT.reset(self._token)
