"""How this worker is, at any moment and without asking anybody."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from edge.discovery.table import InstanceTable
    from edge.limiting.limiter import Limiter
    from edge.rpc.connection import Broker
    from edge.rpc.consumers import Consumers
    from edge.rpc.guard import Guard

PING_SECONDS = 2.0
MAINTENANCE = "maintenance"
"""What an edge that an operator has taken out names as missing."""


class WorkerHealth:
    """Reads the state that the worker's parts keep anyway; only Redis is pinged now and then.

    ``table`` is ``None`` where there is no Consul.
    """

    def __init__(  # noqa: PLR0913 - its collaborators, each by name
        self,
        *,
        broker: Broker,
        guard: Guard,
        consumers: Consumers,
        redis: Redis,
        table: InstanceTable | None,
        limiter: Limiter,
    ) -> None:
        self._limiter = limiter
        self._broker = broker
        self._guard = guard
        self._consumers = consumers
        self._redis = redis
        self._table = table
        self._redis_state = "ok"
        self._is_leaving = False
        self.is_in_maintenance = False

    def leave(self) -> None:
        """From now on no new requests should come here."""
        self._is_leaving = True

    def ready(self) -> bool:
        """Whether requests should be sent here at all."""
        return not self.is_out and self._broker.is_connected

    @property
    def is_out(self) -> bool:
        """Whether requests should go elsewhere, whatever the shop is like: it leaves, or an operator wants it so."""
        return self._is_leaving or self.is_in_maintenance

    def dependencies(self) -> dict[str, str]:
        """Per dependency: ``ok``, ``degraded`` or ``down``."""
        states = {"broker": "ok" if self._broker.is_connected else "down", "redis": self._redis_state}
        states["limits"] = "degraded" if self._limiter.is_local else "ok"
        if self.is_in_maintenance:
            states[MAINTENANCE] = "down"
        if self._table is not None:
            states["consul"] = "ok" if self._table.is_current else "degraded"
        return states

    def services(self) -> dict[str, dict[str, Any]]:
        """Per service: breaker state, calls in flight and waiting, consumers seen on its queue."""
        return {
            service: {**state, "consumers": self._consumers.count(service)}
            for service, state in self._guard.states().items()
        }

    async def run(self) -> None:
        """Ping Redis every two seconds until cancelled."""
        while True:
            try:
                await self._redis.ping()
            except (RedisError, OSError, TimeoutError):
                self._redis_state = "degraded"
            else:
                self._redis_state = "ok"
            await asyncio.sleep(PING_SECONDS)
