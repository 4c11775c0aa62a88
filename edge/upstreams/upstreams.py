"""Everything that one worker keeps for its HTTP services: instances, ways, connections."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from edge.discovery.table import InstanceTable
from edge.upstreams.pool import Connections
from edge.upstreams.service import Service
from edge.upstreams.way import Way

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from edge.upstreams.policy import HttpPolicy


class Upstreams:
    """One per worker. Route tables come and go; what is known of a service stays."""

    def __init__(
        self,
        table: InstanceTable | None = None,
        *,
        dice: random.Random | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.connections = Connections()
        self.on_new_services: Callable[[Iterable[str]], None] = lambda _: None
        self._table = table or InstanceTable()
        self._dice = dice or random.Random()  # noqa: S311 - it spreads load and guards no secret
        self._clock = clock
        self._services: dict[str, Service] = {}
        self._ways: dict[str, Way] = {}

    def follow(self, policies: Iterable[HttpPolicy]) -> None:
        """Routes lead to these services now: Consul is asked about them before the first request comes."""
        named = {policy.service: None for policy in policies}
        for name in named:
            self.service(name)
        self.on_new_services(named)

    @property
    def names(self) -> tuple[str, ...]:
        """Every service that a route has led to."""
        return tuple(self._services)

    def service(self, name: str) -> Service:
        """The service, known or not."""
        found = self._services.get(name)
        if found is None:
            found = self._services[name] = Service(name, self._table, self._clock)
        return found

    def way(self, route: str, policy: HttpPolicy) -> Way:
        """The way of this route: the same one as long as its policy says the same."""
        found = self._ways.get(route)
        if found is not None and found.policy is policy:
            return found
        if found is not None and found.policy == policy:
            found.policy = policy
            return found
        made = Way(route, policy, self.service(policy.service), self._dice)
        if found is not None:
            made.outcomes = found.outcomes  # counters never go back
        self._ways[route] = made
        return made

    def ways(self) -> Iterator[Way]:
        """All ways in use."""
        yield from self._ways.values()

    def services(self) -> Iterator[Service]:
        """All services that routes have led to."""
        yield from self._services.values()

    async def close(self) -> None:
        """Let go of all connections."""
        await self.connections.close()
