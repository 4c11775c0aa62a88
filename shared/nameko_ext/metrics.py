"""What a service's container keeps anyway, as metrics: read when somebody asks, so that a call pays nothing for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import QueuePool

from shared.metrics import families
from shared.metrics.state import BREAKER_STATES, Seen, counted, sized
from shared.nameko_ext.asking import Asking
from shared.nameko_ext.broker import Broker
from shared.nameko_ext.database import Database
from shared.nameko_ext.events import EventDoor
from shared.nameko_ext.loading import HasLoaders
from shared.nameko_ext.outbox import Outbox
from shared.nameko_ext.requests import Requests

SERVER = "server"
CALLER = "caller"
REPLY = "reply"
REQUEST = "request"


class ContainerState(Collector):
    """One service process, as it stands."""

    def __init__(self, container: Any) -> None:
        self._container = container
        self._service: str = container.service_name

    def collect(self) -> Iterator[Metric]:
        """Everything, now."""
        yield counted(families.BROKER_CONNECTED, *(Seen((name,), is_open) for name, is_open in self._links()))
        yield from self._of_calls()
        loaders = [each.loaders for each in self._container.dependencies if isinstance(each, HasLoaders)]
        sizes = [((self._service, name), each.batch_sizes) for named in loaders for name, each in named.items()]
        yield sized(families.READ_BATCH_SIZE, sizes)
        if database := self._container.shared_extensions.get(Database):
            yield from self._of_pool(database)
        ages = [each.oldest_seconds for each in self._container.dependencies if isinstance(each, Outbox)]
        known = [Seen((self._service,), age) for age in ages if age is not None]
        yield counted(families.OUTBOX_OLDEST, *known)

    def _of_calls(self) -> Iterator[Metric]:
        """Those that are served here, and those that are made from here."""
        requests: Requests | None = self._container.shared_extensions.get(Requests)
        asking: Asking | None = self._container.shared_extensions.get(Asking)
        machines = {service: lane.coalescer.machine for service, lane in asking.lanes.items()} if asking else {}
        in_flight = [Seen((service, CALLER), each.in_flight) for service, each in machines.items()]
        waiting = [Seen((service, CALLER), each.waiting) for service, each in machines.items()]
        sizes = [((service, REQUEST), each.batch_sizes) for service, each in machines.items()]
        if requests is not None:
            in_flight.append(Seen((self._service, SERVER), self._container.in_hand))
            waiting.append(Seen((self._service, SERVER), self._container.waiting))
            sizes.append(((self._service, REPLY), requests.replies.frame_sizes))
            yield from self._of_served(requests)
        yield counted(families.IN_FLIGHT, *in_flight)
        yield counted(families.WAITING, *waiting)
        yield sized(families.BATCH_SIZE, sizes)
        yield counted(families.SHARED, *(Seen((service,), each.counts["shared"]) for service, each in machines.items()))
        if asking is not None:
            states = {service: guard.state.value for service, guard in asking.guards.items()}
            late = asking.late_replies + sum(each.counts["late"] for each in machines.values())
            yield counted(families.LATE_REPLIES, Seen((), late))
            yield counted(families.EXPIRED, Seen((), asking.expired_messages))
            yield counted(
                families.BREAKER_STATE, *(Seen((service,), BREAKER_STATES[state]) for service, state in states.items())
            )

    def _of_served(self, requests: Requests) -> Iterator[Metric]:
        yield counted(families.REPLIES_DROPPED, Seen((self._service,), requests.replies.counts["dropped"]))
        yield counted(families.GIVEN_UP, Seen((self._service,), requests.counts["given_up"]))
        yield counted(families.IN_FLIGHT_LIMIT, Seen((self._service, SERVER), self._container.max_workers))

    def _of_pool(self, database: Database) -> Iterator[Metric]:
        pool = cast("QueuePool", database.engine.pool)
        states = {"used": pool.checkedout(), "idle": pool.checkedin()}
        yield counted(
            families.DATABASE_CONNECTIONS, *(Seen((self._service, state), number) for state, number in states.items())
        )
        yield counted(families.DATABASE_LIMIT, Seen((self._service,), pool.size()))
        yield counted(families.DATABASE_WAITING, Seen((self._service,), database.scope.waiting))

    def _links(self) -> Iterator[tuple[str, bool]]:
        """Each link by what it is for, and whether it is open."""
        shared = self._container.shared_extensions
        if requests := shared.get(Requests):
            yield "requests", requests.consumer.link.is_open
        if broker := shared.get(Broker):
            yield "publisher", broker.publisher.link.is_open
        if asking := shared.get(Asking):
            yield from asking.links.items()
        for each in self._container.dependencies:
            if isinstance(each, Outbox):
                yield "outbox", each.link.is_open
        for each in self._container.entrypoints:
            if isinstance(each, EventDoor):
                yield each.method_name, each.consumer.link.is_open
