"""Which route table a worker serves by, and whether another was refused, as metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.registry import Collector

from shared.metrics import families
from shared.metrics.state import Seen, counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from edge.live.current import LiveRoutes


class TableState(Collector):
    """The table of one worker, as it stands."""

    def __init__(self, live: LiveRoutes) -> None:
        self._live = live

    def collect(self) -> Iterator[Metric]:
        """Everything, now."""
        version = self._live.snapshot.version
        yield counted(families.ROUTES_IN_FORCE, Seen((version.hash, version.origin), 1))
        yield counted(families.ROUTES_SINCE, Seen((), version.since.timestamp()))
        yield counted(families.ROUTES_OFFERED, *(Seen((fate,), count) for fate, count in self._live.counts.items()))
        yield counted(families.ROUTES_REFUSED, Seen((), self._live.refusal is not None))
