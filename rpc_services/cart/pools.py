"""How many connections to Redis this process has, as metrics: read when somebody asks, so that a call pays nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from rpc_services.cart.shards import Shards
from shared.metrics import families
from shared.metrics.counting import registry
from shared.metrics.state import Seen, counted


class Pools(Collector):
    """The pool of each server of carts: ``carts-1`` is the first that the settings name."""

    def __init__(self) -> None:
        self._shards: Shards | None = None

    def watch(self, shards: Shards) -> None:
        """Tell of these from now on."""
        self._shards = shards

    def collect(self) -> Iterator[Metric]:
        """Everything, now. The client tells no one, so its own sets are counted.

        Nobody waits for a connection: the client refuses who finds none.
        """
        connections, limits = [], []
        for number, client in enumerate(self._shards.clients if self._shards else (), 1):
            store, pool = f"carts-{number}", client.connection_pool
            states = {"used": pool._in_use_connections, "idle": pool._available_connections}  # noqa: SLF001
            connections += [Seen((store, state), len(held)) for state, held in states.items()]
            limits.append(Seen((store,), pool.max_connections))
        yield counted(families.REDIS_CONNECTIONS, *connections)
        yield counted(families.REDIS_LIMIT, *limits)


pools: Final = Pools()
registry.register(pools)
