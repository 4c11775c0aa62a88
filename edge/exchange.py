"""One request on its way through the stages: what is known of it so far, and what the stages work with."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from sanic import HTTPResponse, Request

from edge.addresses import Networks, Proxies, plain
from edge.collaborators import Collaborators
from edge.cursors import Cursors
from edge.limiting.limiter import Limiter
from edge.limiting.limits import Verdict
from edge.live.current import LiveRoutes
from edge.readiness import Readiness
from edge.routes import Route
from edge.rpc.calls import Deadline
from edge.snapshot import Snapshot
from edge.status.siblings import Together
from edge.timekeeping import Timekeeper
from edge.tokens import Caller, Verifier
from shared.resilience.adaptive import AdaptiveLimit


@dataclass(frozen=True, kw_only=True)
class Equipment:
    """What stages and targets use besides the collaborators: made of them once per worker."""

    collaborators: Collaborators
    live: LiveRoutes
    verifier: Verifier
    limiter: Limiter
    proxies: Proxies
    denied: Networks
    cursors: Cursors
    readiness: Readiness
    together: Together
    timekeeper: Timekeeper = field(default_factory=Timekeeper)


@dataclass(frozen=True, slots=True)
class Operation:
    """One intended effect: its id and, where the client can ask for it again, a fingerprint of what was asked."""

    id: str
    fingerprint: str | None = None


@dataclass(slots=True, kw_only=True)
class Exchange:
    """Each stage adds its part. ``route`` is ``None`` when nothing answers at this path and method.

    ``snapshot`` is the table that was in force when the request came; it stays the request's own to the end.
    """

    request: Request
    equipment: Equipment
    snapshot: Snapshot
    route: Route | None = None
    variables: dict[str, str] = field(default_factory=dict)
    began: float = field(default_factory=time.perf_counter)
    request_id: str = ""
    traceparent: str = ""
    tracestate: str | None = None
    deadline: Deadline = field(default_factory=lambda: Deadline.after(5.0))
    body: dict[str, Any] | None = None
    caller: Caller | None = None
    caller_class: str | None = None
    """``guest``, ``customer`` or ``staff`` where answers are kept for each of these: all that the target may know."""

    operation: Operation | None = None
    replayed: bool = False
    verdicts: list[Verdict] = field(default_factory=list)
    is_caller_counted: bool = False
    rpc_seconds: float = 0.0
    problem: str | None = None
    """The code that the answer says no with, if it does; ``reason`` is for the log only."""

    reason: str | None = None
    place: AdaptiveLimit | None = None
    """Where a place is to be taken when the body has come; ``None`` when it was taken at once."""

    @property
    def matched(self) -> Route:
        """The route, for stages that only matched requests reach."""
        if self.route is None:
            raise LookupError("This request matched no route.")
        return self.route

    @property
    def address(self) -> str:
        """The client's address as far as it can be trusted: the peer's, unless that is a trusted proxy."""
        proxies = self.equipment.proxies
        if not proxies:
            return plain(self.request.ip)
        return proxies.client(self.request.ip, self.request.headers.getall("x-forwarded-for", []))

    def header(self, name: str) -> str | None:
        """The header's value, ``None`` if it is absent; bytes that are no text become ``?``.

        Of several, all in one (RFC 9110 §5.3): what may stand only once is then no sane value, and the second hides
        nothing from us that another parser sees.
        """
        values = self.request.headers.getall(name, None)
        return None if values is None else ", ".join(values).encode(errors="replace").decode()


Target = Callable[[Exchange], Awaitable[HTTPResponse]]
Around = Callable[[Exchange, Target], Awaitable[HTTPResponse]]
"""Does its part and calls the second argument for the rest of the way; or answers itself."""

Gate = Callable[[Exchange], None]
"""Lets the exchange pass or raises; a plain function, for a part that never waits and has nothing to do afterwards."""

Stage = Around | Gate
