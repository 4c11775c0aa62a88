"""Everything one worker holds, wired once: what it calls with, listens to, and tells others of itself."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from edge.collaborators import Collaborators
from edge.discovery.agent import ConsulAgent
from edge.discovery.registration import Registration
from edge.discovery.table import Instance, InstanceTable
from edge.discovery.watch import Watch
from edge.health import WorkerHealth
from edge.keys import KeyRing
from edge.metrics.state import WorkerState
from edge.metrics.teller import Teller
from edge.redis_client import make_redis
from edge.revocations import EndedSessions, RevocationFeed
from edge.rpc.client import RpcClient
from edge.rpc.connection import Broker
from edge.rpc.consumers import Consumers
from edge.rpc.guard import Guard
from edge.rpc.lane import POLICY
from edge.rpc.pending import Pending
from shared.contracts import cart, catalog, identity, notification, order
from shared.metrics.counting import registry
from shared.values.times import Clock, now

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from edge.settings import Settings

log = structlog.get_logger()

SERVICES = tuple(part.METHODS.service for part in (identity, catalog, cart, order, notification))
MOST_PENDING = 10_000
CLOSING_SECONDS = 3.0


@dataclass
class Worker:
    """Opened before the first request, closed after the last."""

    collaborators: Collaborators
    broker: Broker
    table: InstanceTable
    health: WorkerHealth
    keys: KeyRing
    client: RpcClient | None = None
    agent: ConsulAgent | None = None
    registration: Registration | None = None
    teller: Teller | None = None
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def open(self) -> None:
        """Connect. Whatever is away is waited for in the background: the edge starts anyway and says so."""
        await self.broker.open()
        await self.keys.open()
        if self.teller:
            await self.teller.open()
        self.keep_running(self.health.run())
        url = self.collaborators.settings.consul_url
        if url:
            self._join(ConsulAgent(url))

    def keep_running(self, work: Coroutine[None, None, None]) -> None:
        """Run ``work`` beside the requests until :meth:`leave`; if it ends by a fault, that is logged."""
        task = asyncio.create_task(work)
        task.add_done_callback(_report)
        self.tasks.append(task)

    async def leave(self) -> None:
        """Send new requests elsewhere; what runs goes on."""
        self.health.leave()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        if self.registration:
            await self.registration.leave()

    async def close(self) -> None:
        """Let go of everything; no part can hold up the end for more than three seconds."""
        if self.client:
            await self.client.close(drain=CLOSING_SECONDS)
        parts = [self.keys.close(), self.broker.close(), self.collaborators.redis.aclose()]
        if self.agent:
            parts.append(self.agent.close())
        if self.teller:
            parts.append(self.teller.close())
        await asyncio.gather(*(asyncio.wait_for(part, CLOSING_SECONDS) for part in parts), return_exceptions=True)

    def _join(self, agent: ConsulAgent) -> None:
        settings = self.collaborators.settings
        instance = Instance(
            id=f"{settings.instance}-{os.getpid()}",
            service="edge",
            address=settings.host,
            port=settings.port,
            meta={"pid": str(os.getpid()), "instance": settings.instance},
        )
        self.agent = agent
        self.registration = Registration(agent, instance, self.health)
        self.keep_running(self.registration.run())
        self.keep_running(Watch(agent, self.table, (*SERVICES, "edge")).run())


def make_worker(settings: Settings, *, clock: Clock = now) -> Worker:
    """Wire a worker. Nothing is opened yet."""
    pending = Pending(limit=MOST_PENDING)
    broker = Broker(settings.amqp_url, name=settings.instance, pending=pending)
    consumers = Consumers(SERVICES, on_return=lambda service: guard.wake(service))  # noqa: PLW0108 - made below
    lanes = POLICY if settings.coalescing else None
    client = RpcClient(broker=broker, pending=pending, consumers=consumers, lanes=lanes)
    guard = Guard(client, SERVICES)
    sessions = EndedSessions(wall=lambda: clock().timestamp())
    broker.follow(consumers.follow)
    broker.follow(RevocationFeed(sessions, rpc=guard).follow)
    redis = make_redis(settings.redis_url)
    table = InstanceTable()
    known = table if settings.consul_url else None
    health = WorkerHealth(broker=broker, guard=guard, consumers=consumers, redis=redis, table=known)
    keys = KeyRing(guard)
    collaborators = Collaborators(
        settings=settings,
        rpc=guard,
        redis=redis,
        clock=clock,
        revocations=sessions,
        keys=keys,
        health=health,
    )
    teller = None
    if settings.metrics.port is not None:
        state = WorkerState(broker=broker, client=client, guard=guard, consumers=consumers, pending=pending)
        teller = Teller([registry, state], edge_port=settings.port)
    return Worker(
        collaborators=collaborators, broker=broker, table=table, health=health, keys=keys, client=client, teller=teller
    )


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (fault := task.exception()) is not None:
        log.error("edge.task.ended", reason=repr(fault))
