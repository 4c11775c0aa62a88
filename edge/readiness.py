"""Whether this edge can serve the shop: what its dependencies say, asked at most once a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from redis.exceptions import RedisError

from edge.collaborators import Collaborators
from edge.rpc.calls import CallContext, Deadline
from edge.rpc.failures import CallFailure, RemoteRefusal
from edge.targets.declared import State
from shared.contracts import cart, catalog, identity, notification, order
from shared.contracts.method import Method
from shared.values.identifiers import new_id

FRESH_SECONDS = 1.0
ASK_SECONDS = 1.0
CHECKS = {part.METHODS.service: part.METHODS.CHECK_HEALTH for part in (identity, catalog, cart, order, notification)}
NEEDED = ("broker", "identity", "catalog", "cart", "order")
"""Without these the shop cannot sell. Redis has a local stand-in here, and mails can wait in their queue."""


class Readiness:
    """The last look at every dependency. Many askers share one look."""

    def __init__(self, collaborators: Collaborators, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._collaborators = collaborators
        self._monotonic = monotonic
        self._state: State | None = None
        self._looked_at = 0.0
        self._one_at_a_time = asyncio.Lock()

    async def look(self) -> State:
        """``ready`` or ``degraded`` when the shop can serve, ``down`` when it cannot.

        Who leaves, or has no broker, says so at once and asks nobody.
        """
        if not self._collaborators.health.ready():
            return State(status="down", dependencies=self._collaborators.health.dependencies())
        async with self._one_at_a_time:
            if self._state is None or self._monotonic() - self._looked_at >= FRESH_SECONDS:
                self._state = await self._look()
                self._looked_at = self._monotonic()
            return self._state

    async def _look(self) -> State:
        collaborators = self._collaborators
        answers = await asyncio.gather(*(self._ask(method) for method in CHECKS.values()), self._ping_redis())
        dependencies = {**collaborators.health.dependencies(), **dict(zip([*CHECKS, "redis"], answers, strict=True))}
        serving = collaborators.health.ready() and all(dependencies.get(name) != "down" for name in NEEDED)
        if not serving:
            return State(status="down", dependencies=dependencies)
        whole = all(state == "ok" for state in dependencies.values())
        return State(status="ready" if whole else "degraded", dependencies=dependencies)

    async def _ask(self, method: Method) -> str:
        context = CallContext(request_id=new_id(), deadline=Deadline.after(ASK_SECONDS), route="ready")
        try:
            reply = await self._collaborators.rpc.call(method, {}, context=context)
        except (CallFailure, RemoteRefusal):
            return "down"
        return "ok" if reply.result["ok"] else "degraded"

    async def _ping_redis(self) -> str:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                await self._collaborators.redis.ping()
        except (RedisError, OSError, TimeoutError):
            return "degraded"
        return "ok"
