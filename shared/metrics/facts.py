"""What a process tells of itself beside what it counts: which release it is, and whether Consul hears it."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from shared.metrics import families
from shared.metrics.state import Seen, counted
from shared.release import VERSION


class Build(Collector):
    """Always 1: its label is what it tells."""

    def collect(self) -> Iterator[Metric]:
        """As ever."""
        yield counted(families.BUILD, Seen((VERSION,), 1))


class ConsulLink(Collector):
    """Whether Consul took this process's last sign of life; nothing before the first."""

    def __init__(self) -> None:
        self.hears: bool | None = None
        """Set by whoever gives the signs of life."""

    def collect(self) -> Iterator[Metric]:
        """As it stands."""
        if self.hears is not None:
            yield counted(families.CONSUL_CONNECTED, Seen((), self.hears))
