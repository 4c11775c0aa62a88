"""What a worker keeps anyway, as metrics: read when somebody asks, so that a request pays nothing for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.registry import Collector

from edge.rpc.post import IN_FLIGHT as PLACES
from shared.metrics import families
from shared.metrics.state import BREAKER_STATES, Seen, counted, sized

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from edge.rpc.client import RpcClient
    from edge.rpc.connection import Broker
    from edge.rpc.consumers import Consumers
    from edge.rpc.guard import Guard
    from edge.rpc.pending import Pending

LINK = "rpc"
CALLER = "caller"
REQUEST = "request"


class WorkerState(Collector):
    """The RPC plane of one worker, as it stands."""

    def __init__(
        self, *, broker: Broker, client: RpcClient, guard: Guard, consumers: Consumers, pending: Pending
    ) -> None:
        self._broker = broker
        self._client = client
        self._guard = guard
        self._consumers = consumers
        self._pending = pending

    def collect(self) -> Iterator[Metric]:
        """Everything, now."""
        machines = {service: lane.coalescer.machine for service, lane in self._client.lanes.items()}
        late = self._pending.counts["unclaimed"] + sum(each.counts["late"] for each in machines.values())
        yield counted(families.BROKER_CONNECTED, Seen((LINK,), self._broker.is_connected))
        yield counted(families.RETRIES, Seen((), self._client.counts["retries"]))
        yield counted(families.LATE_REPLIES, Seen((), late))
        yield counted(families.EXPIRED, Seen((), self._pending.counts["expired"]))
        yield counted(families.SHARED, *(Seen((service,), each.counts["shared"]) for service, each in machines.items()))
        yield sized(families.BATCH_SIZE, [((service, REQUEST), each.batch_sizes) for service, each in machines.items()])
        yield from self._of_services({service: each.waiting for service, each in machines.items()})

    def _of_services(self, in_lanes: dict[str, int]) -> Iterator[Metric]:
        """A call under way holds a place of its service's; while it waits in the lane it is counted as waiting."""
        posts = self._guard.states().items()
        yield counted(
            families.BREAKER_STATE, *(Seen((service,), BREAKER_STATES[each["breaker"]]) for service, each in posts)
        )
        yield counted(
            families.METHOD_BREAKER_STATE,
            *(
                Seen((service, method), BREAKER_STATES[one["breaker"]])
                for service, each in posts
                for method, one in each["methods"].items()
            ),
        )
        yield counted(
            families.IN_FLIGHT,
            *(Seen((service, CALLER), max(0, each["in_flight"] - in_lanes.get(service, 0))) for service, each in posts),
        )
        yield counted(
            families.WAITING,
            *(Seen((service, CALLER), each["waiting"] + in_lanes.get(service, 0)) for service, each in posts),
        )
        yield counted(families.IN_FLIGHT_LIMIT, *(Seen((service, CALLER), PLACES) for service, _ in posts))
        known = [(service, self._consumers.count(service)) for service, _ in posts]
        yield counted(families.CONSUMERS, *(Seen((service,), seen) for service, seen in known if seen is not None))
