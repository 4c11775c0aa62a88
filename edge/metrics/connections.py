"""How many connections clients hold open, and how many were ended for it, as metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.registry import Collector

from shared.metrics import families
from shared.metrics.state import Seen, counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from edge.reception import Reception


class ConnectionState(Collector):
    """The connections of one worker, as they stand."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception

    def collect(self) -> Iterator[Metric]:
        """Everything, now."""
        yield counted(families.CONNECTIONS, Seen((), self._reception.open_connections))
        yield counted(
            families.CONNECTIONS_CUT, *(Seen((reason,), number) for reason, number in self._reception.cut.items())
        )
