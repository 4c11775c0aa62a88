"""Follows Consul by blocking queries, so that the table changes within moments of the world."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

import structlog

from edge.discovery.agent import AGENT_ERRORS, WAIT_SECONDS
from edge.discovery.table import read_instances
from shared.resilience.backoff import Dice, full_jitter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge.discovery.agent import Agent
    from edge.discovery.table import InstanceTable

log = structlog.get_logger()

BURST = 2
LONGEST_PAUSE = 15.0


class Pace:
    """A token bucket: two queries at once, then one a second, however often Consul answers."""

    def __init__(self) -> None:
        self._tokens = float(BURST)
        self._filled_at = time.monotonic()

    def pause(self) -> float:
        """Take a token; seconds to wait before using it."""
        now = time.monotonic()
        self._tokens = min(float(BURST), self._tokens + now - self._filled_at) - 1
        self._filled_at = now
        return max(0.0, -self._tokens)


def next_index(before: int | None, seen: int) -> int | None:
    """The index to wait on: none, to start afresh, when Consul's went backwards; never below 1."""
    if before is not None and seen < before:
        return None
    return max(1, seen)


class Watch:
    """One blocking query per service. Each answers after 30 s at the latest, which is the full refresh.

    Its own ``services`` are always followed, others as long as :meth:`follow_also` names them.
    """

    def __init__(
        self, agent: Agent, table: InstanceTable, services: Iterable[str], *, dice: Dice | None = None
    ) -> None:
        self._agent = agent
        self._table = table
        self._own = frozenset(services)
        self._others: frozenset[str] = frozenset()
        self._group: asyncio.TaskGroup | None = None
        self._following: dict[str, asyncio.Task[None]] = {}
        self._dice = dice or random.SystemRandom()

    async def run(self) -> None:
        """Follow all services until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._set_out()
            try:
                await asyncio.Event().wait()
            finally:
                self._group = None

    def follow_also(self, services: Iterable[str]) -> None:
        """From now on follow these besides its own, each once, and forget whom else it followed before."""
        self._others = frozenset(services) - self._own
        for service in self._following.keys() - self._others - self._own:
            self._following.pop(service).cancel()
            self._table.forget(service)
        self._set_out()

    def _set_out(self) -> None:
        """Follow whoever is not followed yet."""
        if self._group is not None:
            for service in (self._own | self._others) - self._following.keys():
                self._following[service] = self._group.create_task(self._follow(service))

    async def _follow(self, service: str) -> None:
        index: int | None = None
        attempt = 0
        pace = Pace()
        while True:
            await asyncio.sleep(pace.pause())
            try:
                async with asyncio.timeout(WAIT_SECONDS + 10):
                    seen, nodes = await self._agent.instances(service, index=index)
                self._table.replace(service, read_instances(service, nodes))
            except (*AGENT_ERRORS, KeyError) as fault:
                self._note_absence(fault)
                await asyncio.sleep(full_jitter(attempt, first=0.5, cap=LONGEST_PAUSE, dice=self._dice))
                index, attempt = None, attempt + 1
            else:
                self._table.is_current = True
                index, attempt = next_index(index, seen), 0

    def _note_absence(self, fault: BaseException) -> None:
        if self._table.is_current:
            log.warning("discovery.table.stale", reason=type(fault).__name__)
        self._table.is_current = False
