"""How many connections to Redis a worker of the edge has, as metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.registry import Collector

from shared.metrics import families
from shared.metrics.state import Seen, counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric
    from redis.asyncio import Redis

STORE = "edge"


class RedisPoolState(Collector):
    """The pool that requests take their connections from, as it stands."""

    def __init__(self, redis: Redis) -> None:
        self._pool = redis.connection_pool

    def collect(self) -> Iterator[Metric]:
        """Everything, now. The client tells no one, so its own sets are counted."""
        used, idle = len(self._pool._in_use_connections), len(self._pool._available_connections)  # noqa: SLF001
        yield counted(families.REDIS_CONNECTIONS, Seen((STORE, "used"), used), Seen((STORE, "idle"), idle))
        yield counted(families.REDIS_LIMIT, Seen((STORE,), self._pool.max_connections))
