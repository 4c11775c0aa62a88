"""Everything that one worker keeps for its HTTP services: instances, ways, connections."""

from __future__ import annotations

import asyncio
import random
import time
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge.discovery.table import InstanceTable
from edge.upstreams.pool import Connections
from edge.upstreams.service import Service
from edge.upstreams.way import Way
from shared.resilience.circuit import WHOLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from edge.upstreams.policy import HttpPolicy
    from shared.resilience.breaker import BreakerState

LOOK_SECONDS = 5.0
"""So long a service may be known that no table leads to any more: one that comes back soon loses nothing."""


@dataclass(frozen=True, slots=True)
class Led:
    """Where a route table leads: the policies of its ways, by their names. It lives as long as anybody holds it."""

    table: weakref.ref[Any]
    policies: Mapping[str, HttpPolicy]


class Upstreams:
    """One per worker. Route tables come and go; what is known of a service stays as long as one of them names it.

    A table counts for as long as a request, or whoever else, holds it, so nothing is taken away from who began under
    an old one.
    """

    def __init__(
        self,
        table: InstanceTable | None = None,
        *,
        dice: random.Random | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.connections = Connections()
        self.on_services: Callable[[frozenset[str]], None] = lambda _: None
        self._table = table or InstanceTable()
        self._dice = dice or random.Random()  # noqa: S311 - it spreads load and guards no secret
        self._clock = clock
        self._services: dict[str, Service] = {}
        self._ways: dict[str, list[Way]] = {}
        self._led: list[Led] = []
        self._rulings: Mapping[str, Mapping[str, BreakerState]] = {}

    def follow(self, table: object, policies: Mapping[str, HttpPolicy]) -> None:
        """This table is in force now: Consul is asked about its services before the first request comes."""
        self._led = [led for led in self._led if led.table() is not table]
        self._led.append(Led(weakref.ref(table), policies))
        for policy in policies.values():
            self.service(policy.service)
        self.on_services(self.names)

    async def run(self, *, every: float = LOOK_SECONDS) -> None:
        """Let go of what is not needed any more, until cancelled."""
        while True:
            await asyncio.sleep(every)
            self.let_go()

    def let_go(self) -> None:
        """Forget the ways and services that only tables led to which nobody holds any more."""
        held = [led for led in self._led if led.table() is not None]
        if len(held) == len(self._led):
            return
        self._led = held
        for name, ways in list(self._ways.items()):
            wanted = [led.policies[name] for led in held if name in led.policies]
            self._ways[name] = [way for way in ways if way.policy in wanted]
            if not self._ways[name]:
                del self._ways[name]
        needed = [policy for led in held for policy in led.policies.values()]
        for name in self._services.keys() - {policy.service for policy in needed}:
            del self._services[name]
        for name, service in self._services.items():
            service.keep_only([policy for policy in needed if policy.service == name])
        self.on_services(self.names)

    @property
    def names(self) -> frozenset[str]:
        """Every service that a table leads to which is in force, or has not been let go of."""
        return frozenset(self._services)

    def service(self, name: str) -> Service:
        """The service, known or not."""
        found = self._services.get(name)
        if found is None:
            found = self._services[name] = Service(name, self._table, self._clock)
        return found

    def way(self, route: str, policy: HttpPolicy) -> Way:
        """The way of this route: the same one as long as its policy says the same."""
        known = self._ways.setdefault(route, [])
        for way in known:
            if way.policy is policy:
                return way
            if way.policy == policy:
                way.renew(policy)
                return way
        made = Way(route, policy, self.service(policy.service), self._dice)
        if known:
            made.outcomes = known[-1].outcomes  # counters never go back
        made.breaker.rule(self._ruling(made))
        known.append(made)
        return made

    def rule(self, rulings: Mapping[str, Mapping[str, BreakerState]]) -> None:
        """Hold breakers open or closed, by service and route; all that are not named decide for themselves."""
        self._rulings = rulings
        for known in self._ways.values():
            for way in known:
                way.breaker.rule(self._ruling(way))

    def _ruling(self, way: Way) -> BreakerState | None:
        ruled = self._rulings.get(way.service.name, {})
        return ruled.get(way.route, ruled.get(WHOLE))

    def ways(self) -> Iterator[Way]:
        """All ways in use: of each route the latest, for a request under an older table may still be on another."""
        for known in self._ways.values():
            yield known[-1]

    def services(self) -> Iterator[Service]:
        """All services that are known."""
        yield from self._services.values()

    async def close(self) -> None:
        """Let go of all connections."""
        await self.connections.close()
