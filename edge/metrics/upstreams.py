"""What a worker's requests to HTTP services came to, and how those are, as metrics."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from prometheus_client.registry import Collector

from edge.upstreams.way import OUTCOMES
from shared.metrics import families
from shared.metrics.state import BREAKER_STATES, Seen, counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from edge.upstreams.upstreams import Upstreams

NONE = "none"
"""What stands in the place of a service or route as long as there is none, so that every metric can be seen."""


class UpstreamState(Collector):
    """The HTTP services of one worker, as they stand."""

    def __init__(self, upstreams: Upstreams) -> None:
        self._upstreams = upstreams

    def collect(self) -> Iterator[Metric]:
        """Everything, now."""
        counts = {way.route: way.outcomes for way in self._upstreams.ways()} or {NONE: Counter()}
        states = {way.route: way.breaker_state.value for way in self._upstreams.ways()} or {NONE: "closed"}
        services = {each.name: (each.retries, each.figures()) for each in self._upstreams.services()}
        known = services or {NONE: (0, {"passing": 0, "ejected": 0, "in_flight": 0})}
        yield counted(
            families.HTTP_REQUESTS,
            *(Seen((route, one), tally[one]) for route, tally in counts.items() for one in OUTCOMES),
        )
        yield counted(
            families.HTTP_BREAKER_STATE, *(Seen((route,), BREAKER_STATES[state]) for route, state in states.items())
        )
        yield counted(families.HTTP_RETRIES, *(Seen((name,), retries) for name, (retries, _) in known.items()))
        yield counted(families.HTTP_IN_FLIGHT, *(Seen((name,), each["in_flight"]) for name, (_, each) in known.items()))
        yield counted(
            families.HTTP_INSTANCES,
            *(Seen((name, kind), each[kind]) for name, (_, each) in known.items() for kind in ("passing", "ejected")),
        )
