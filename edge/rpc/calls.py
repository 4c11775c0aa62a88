"""What a call carries and gives, as the edge's stages and targets see it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

if TYPE_CHECKING:
    from shared.contracts.method import Method


class Deadline(Struct, frozen=True):
    """A moment after which nobody waits: the wall clock's for other processes, the monotonic one's for this."""

    epoch_ms: int
    monotonic: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The moment ``seconds`` from now."""
        return cls(epoch_ms=int((time.time() + seconds) * 1000), monotonic=time.monotonic() + seconds)

    def remaining(self) -> float:
        """Seconds left; zero or less when it has passed."""
        return self.monotonic - time.monotonic()


class CallContext(Struct, frozen=True, kw_only=True):
    """What travels beside the arguments. ``route`` names the route that caused the call, for the logs.

    ``beside_version`` is what the client saw of the figure that changes without a new version.
    """

    request_id: str
    deadline: Deadline
    route: str
    operation_id: str | None = None
    fingerprint: str | None = None
    user_id: str | None = None
    beside_version: int | None = None
    traceparent: str | None = None
    tracestate: str | None = None

    def under(self, traceparent: str, tracestate: str | None) -> CallContext:
        """The same, caused by another span."""
        return replace(self, traceparent=traceparent, tracestate=tracestate)


class RpcReply(Struct, frozen=True):
    """A service's answer as plain JSON; ``replayed`` when an earlier run of the same operation gave it."""

    result: Any
    replayed: bool = False


class Rpc(Protocol):
    """Whatever can call a service: the client, the guard around it, a fake in a test."""

    async def call(self, method: Method, arguments: dict[str, Any], *, context: CallContext) -> RpcReply:
        """Call ``method``. Raises ``RemoteRefusal``, ``NotExecuted`` or ``OutcomeUnknown``."""
        ...
