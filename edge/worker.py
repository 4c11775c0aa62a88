"""Everything one worker holds, wired once: what it calls with, listens to, and tells others of itself."""

from __future__ import annotations

import asyncio
import math
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from edge.admission.door import Admission, policy_of
from edge.cache.assembly import make_cache
from edge.collaborators import Collaborators
from edge.discovery.agent import ConsulAgent
from edge.discovery.maintenance import Attendance, MaintenanceWatch
from edge.discovery.registration import Registration
from edge.discovery.table import Instance, InstanceTable
from edge.discovery.watch import Watch
from edge.health import WorkerHealth
from edge.keys import KeyRing
from edge.limiting.assembly import make_limiter
from edge.live.kept import KeptFile
from edge.live.shared import SharedTable, TableWatch
from edge.metrics.admission import AdmissionState
from edge.metrics.cache import CacheState
from edge.metrics.connections import ConnectionState
from edge.metrics.limits import LimitState
from edge.metrics.redis_pool import RedisPoolState
from edge.metrics.state import WorkerState
from edge.metrics.table import TableState
from edge.metrics.teller import Teller
from edge.metrics.tokens import TokenState
from edge.metrics.upstreams import UpstreamState
from edge.reception import Reception
from edge.redis_client import make_redis
from edge.revocation_feed import LOADING_SECONDS, RevocationFeed
from edge.revocations import EndedSessions
from edge.rpc.client import RpcClient
from edge.rpc.connection import Broker
from edge.rpc.consumers import Consumers
from edge.rpc.guard import Guard
from edge.rpc.lane import POLICY
from edge.rpc.pending import Pending
from edge.status.picture import picture
from edge.status.siblings import Door
from edge.status.sight import Sight
from edge.tracing import TracedRpc
from edge.upstreams.rulings import EveryRuling
from edge.upstreams.upstreams import Upstreams
from shared.contracts import cart, catalog, identity, notification, order
from shared.metrics.counting import registry
from shared.resilience.breaker import BreakerPolicy
from shared.tracing.processes import Closing, begin_recording
from shared.values.times import Clock, now

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from edge.live.current import LiveRoutes
    from edge.routes import RouteTable
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
    watch: Watch | None = None
    teller: Teller | None = None
    door: Door | None = None
    tracing: Closing | None = None
    live: LiveRoutes | None = None
    reception: Reception = field(default_factory=Reception)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def serve_by(self, live: LiveRoutes) -> None:
        """Follow the shared table for ``live``, from the last good one on; without Consul there is none."""
        settings = self.collaborators.settings
        self.live = live
        self.collaborators.upstreams.on_services = self._attend_to
        live.on_taken = self._lead
        self._lead(live.snapshot.table)
        self.door = Door(lambda: picture(self.collaborators, live), edge_port=settings.port)
        if self.teller:
            self.teller.add(TableState(live))
        if settings.consul_url and settings.routes_kept:
            live.restore(KeptFile(settings.routes_kept))

    def _lead(self, table: RouteTable) -> None:
        """Know the services that these routes lead to before the first request goes there."""
        policies = {name: policy for route in table.routes for name, policy in route.http_policies.items()}
        self.collaborators.upstreams.follow(table, policies)

    def _attend_to(self, services: frozenset[str]) -> None:
        """These are the HTTP services that routes lead to; of others nothing is kept."""
        self.collaborators.admission.keep_only_http(services)
        if self.watch:
            self.watch.follow_also(services)

    async def open(self) -> None:
        """Connect. Whatever is away is waited for in the background: the edge starts anyway and says so."""
        settings = self.collaborators.settings
        self.tracing = begin_recording(
            settings.tracing, service="edge", instance=settings.instance, environment=settings.environment
        )
        await self.broker.open()
        await self.collaborators.limiter.open()
        await self.keys.open()
        await self.collaborators.revocations.wait_until_complete(LOADING_SECONDS)
        if self.teller:
            await self.teller.open()
        if self.door:
            await self.door.open()
        self.collaborators.admission.start()
        self.keep_running(self.health.run())
        self.keep_running(self.collaborators.upstreams.run())
        if self.collaborators.rulings:
            self.keep_running(self.collaborators.rulings.run())
        url = self.collaborators.settings.consul_url
        if url:
            self._join(ConsulAgent(url, self.collaborators.settings.consul_token))

    def keep_running(self, work: Coroutine[None, None, None]) -> None:
        """Run ``work`` beside the requests until :meth:`leave`; if it ends by a fault, that is logged."""
        task = asyncio.create_task(work)
        task.add_done_callback(_report)
        self.tasks.append(task)

    async def leave(self) -> None:
        """Send new requests elsewhere; what runs goes on. A watch that will not end holds nothing up for long."""
        for task in self.tasks:
            task.cancel()
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=CLOSING_SECONDS)
        if self.registration:
            await self.registration.leave()

    async def close(self) -> None:
        """Let go of everything; no part can hold up the end for more than three seconds."""
        self.collaborators.admission.stop()
        if self.client:
            await self.client.close(drain=CLOSING_SECONDS)
        parts = [self.keys.close(), self.broker.close(), self.collaborators.redis.aclose()]
        parts.append(self.collaborators.cache.close())
        parts.append(self.collaborators.upstreams.close())
        parts.append(self.collaborators.plugins.close())
        parts.append(self.collaborators.limiter.close())
        if self.agent:
            parts.append(self.agent.close())
        if self.teller:
            parts.append(self.teller.close())
        if self.door:
            parts.append(self.door.close())
        if self.tracing:
            parts.append(asyncio.to_thread(self.tracing.close))
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
        attendance = Attendance(self.reception, on_change=self._attend)
        self.keep_running(MaintenanceWatch(agent, settings.instance, attendance).run())
        watch = Watch(agent, self.table, (*SERVICES, "edge"))
        self.watch = watch
        watch.follow_also(self.collaborators.upstreams.names)
        self.keep_running(watch.run())
        if self.live:
            self.live.shared = SharedTable(agent)
            self.keep_running(TableWatch(self.live.shared, self.live).run())

    def _attend(self, is_out: bool) -> None:  # noqa: FBT001 - what the operator's wish comes to
        self.health.is_in_maintenance = is_out


def make_worker(settings: Settings, *, clock: Clock = now) -> Worker:
    """Wire a worker. Nothing is opened yet."""
    pending = Pending(limit=MOST_PENDING, on_late=lambda method: guard.heard(method))  # noqa: PLW0108 - made below
    broker = Broker(settings.amqp_url, name=settings.instance, pending=pending)
    consumers = Consumers(
        SERVICES,
        on_return=lambda service: guard.wake(service),  # noqa: PLW0108 - as above
        on_absence=lambda service: guard.lost(service),  # noqa: PLW0108 - as above
    )
    client = RpcClient(
        broker=broker, pending=pending, consumers=consumers, lanes=POLICY if settings.coalescing else None
    )
    guard = Guard(client, SERVICES, policy=_breakers(settings))
    sessions = EndedSessions(wall=lambda: clock().timestamp())
    broker.follow(consumers.follow)
    keys = KeyRing(guard, algorithms=settings.jwt_algorithms)
    broker.follow(RevocationFeed(sessions, rpc=guard, keys=keys).follow)
    redis = make_redis(settings.redis_url)
    table = InstanceTable(lambda service: tell_guard(guard, table, service))
    known = table if settings.consul_url else None
    limiter = make_limiter(settings, table)
    upstreams = Upstreams(table)
    health = WorkerHealth(broker=broker, guard=guard, consumers=consumers, redis=redis, table=known, limiter=limiter)
    collaborators = Collaborators(
        settings=settings,
        rpc=guard if settings.tracing is None else TracedRpc(guard),
        redis=redis,
        clock=clock,
        revocations=sessions,
        keys=keys,
        health=health,
        rulings=EveryRuling(redis, guard, upstreams),
        admission=Admission(policy_of(settings.least_in_flight)),
        cache=make_cache(settings, redis=redis, broker=broker),
        upstreams=upstreams,
        limiter=limiter,
        sight=Sight(table=known, lanes=client.lanes),
    )
    teller, reception = None, collaborators.sight.reception
    if settings.metrics.port is not None:
        state = WorkerState(broker=broker, client=client, guard=guard, consumers=consumers, pending=pending)
        told = [registry, state, ConnectionState(reception), TokenState(keys, sessions)]
        told += [CacheState(collaborators.cache), UpstreamState(collaborators.upstreams)]
        told += [AdmissionState(collaborators.admission), LimitState(limiter)]
        told += [collaborators.sight.traffic, RedisPoolState(redis)]
        teller = Teller(told, edge_port=settings.port)
    return Worker(
        collaborators=collaborators,
        broker=broker,
        table=table,
        health=health,
        keys=keys,
        client=client,
        teller=teller,
        reception=reception,
    )


def _breakers(settings: Settings) -> BreakerPolicy:
    return BreakerPolicy(slow_seconds=settings.slow_calls or math.inf, slow_ratio=settings.slow_percent / 100)


def tell_guard(guard: Guard, table: InstanceTable, service: str) -> None:
    """Let the service's breakers know what Consul says of it; what is no service of ours has none."""
    if service in SERVICES:
        guard.listed(service, alive=table.alive(service), proven=table.proven(service))


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (fault := task.exception()) is not None:
        log.error("edge.task.ended", reason=repr(fault))
