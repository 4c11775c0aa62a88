"""Keeps this worker's place in Consul, with a heart-beat that says how it really is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import structlog

from edge.discovery.agent import AGENT_ERRORS
from shared.metrics.counting import consul
from shared.release import VERSION

if TYPE_CHECKING:
    from edge.discovery.agent import Agent
    from edge.discovery.table import Instance

log = structlog.get_logger()

TTL_SECONDS = 10
BEAT_SECONDS = 3.0
PATIENCE_SECONDS = 2.0


class Pulse(Protocol):
    """How the worker is."""

    def dependencies(self) -> dict[str, str]:
        """Per dependency: ``ok``, ``degraded`` or ``down``."""
        ...


def status_of(dependencies: dict[str, str]) -> str:
    """Without the broker, or against an operator's wish, nothing is served; all else can be missed for a while."""
    if dependencies.get("broker") == "down" or dependencies.get("maintenance") == "down":
        return "critical"
    return "passing" if all(state == "ok" for state in dependencies.values()) else "warning"


class Registration:
    """Registers, renews, and registers again whenever the agent has forgotten."""

    def __init__(self, agent: Agent, instance: Instance, pulse: Pulse) -> None:
        self._agent = agent
        self._instance = instance
        self._pulse = pulse
        self._check_id = f"service:{instance.id}"
        self.is_held = False

    async def run(self) -> None:
        """Beat until cancelled. An agent that is away is tried again at every beat."""
        while True:
            await self.beat()
            await asyncio.sleep(BEAT_SECONDS)

    async def beat(self) -> None:
        """One sign of life."""
        dependencies = self._pulse.dependencies()
        note = ", ".join(f"{name} {state}" for name, state in sorted(dependencies.items()))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                if not self.is_held:
                    await self._register()
                self.is_held = await self._agent.renew(self._check_id, status_of(dependencies), note)
            consul.hears = True
        except AGENT_ERRORS as fault:
            if self.is_held:
                log.warning("discovery.registration.lost", reason=type(fault).__name__)
            self.is_held = False
            consul.hears = False

    async def leave(self) -> None:
        """Take this worker out before it stops; an agent that is away will find out by itself."""
        self.is_held = False
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._agent.deregister(self._instance.id)
        except AGENT_ERRORS as fault:
            log.warning("discovery.registration.not_withdrawn", reason=type(fault).__name__)

    async def _register(self) -> None:
        instance = self._instance
        meta = {**instance.meta, "version": VERSION}
        await self._agent.register(instance, check_id=self._check_id, ttl_seconds=TTL_SECONDS, meta=meta)
        log.info("discovery.registration.made", instance_id=instance.id)
