"""One request on its way through the stages: what is known of it so far, and what the stages work with."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from sanic import HTTPResponse, Request

from edge.collaborators import Collaborators
from edge.cursors import Cursors
from edge.limits import Limiter, Verdict
from edge.readiness import Readiness
from edge.routes import Route, RouteTable
from edge.rpc.calls import Deadline
from edge.tokens import Caller, Verifier


@dataclass(frozen=True, kw_only=True)
class Equipment:
    """What stages and targets use besides the collaborators: made of them once per worker."""

    collaborators: Collaborators
    table: RouteTable
    verifier: Verifier
    limiter: Limiter
    cursors: Cursors
    readiness: Readiness
    openapi: bytes


@dataclass(frozen=True, slots=True)
class Operation:
    """One intended effect: its id, and a fingerprint of what was asked."""

    id: str
    fingerprint: str


@dataclass(slots=True, kw_only=True)
class Exchange:
    """Each stage adds its part. ``route`` is ``None`` when nothing answers at this path and method."""

    request: Request
    equipment: Equipment
    route: Route | None = None
    variables: dict[str, str] = field(default_factory=dict)
    began: float = field(default_factory=time.perf_counter)
    request_id: str = ""
    traceparent: str = ""
    deadline: Deadline = field(default_factory=lambda: Deadline.after(5.0))
    body: dict[str, Any] | None = None
    caller: Caller | None = None
    operation: Operation | None = None
    replayed: bool = False
    verdicts: list[Verdict] = field(default_factory=list)
    rpc_seconds: float = 0.0

    @property
    def matched(self) -> Route:
        """The route, for stages that only matched requests reach."""
        if self.route is None:
            raise LookupError("This request matched no route.")
        return self.route

    @property
    def address(self) -> str:
        """The client's address as far as it can be trusted: the peer's, unless proxies are configured."""
        return self.request.remote_addr or self.request.ip

    def header(self, name: str) -> str | None:
        """The header's value, ``None`` if it is absent. Of several the first; bytes that are no text become ``?``."""
        value = self.request.headers.getone(name, None)
        return None if value is None else str(value).encode(errors="replace").decode()


Target = Callable[[Exchange], Awaitable[HTTPResponse]]
Stage = Callable[[Exchange, Target], Awaitable[HTTPResponse]]
"""A stage does its part and calls the second argument for the rest of the way; or answers itself."""
