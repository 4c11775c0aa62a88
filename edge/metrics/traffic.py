"""Every request by route, method, status and how long it took: counted on its way, for a third of a microsecond."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from shared.metrics import families

BOUNDS = families.REQUEST_SECONDS.buckets
KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"
LEAST_STATUS, BEYOND_STATUS = 100, 600


class Tally:
    """The requests of one route, method and status."""

    __slots__ = ("classes", "seconds")

    def __init__(self) -> None:
        self.classes = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0


class Traffic(Collector):
    """The requests of one worker.

    Labels stay few whatever comes: routes are the table's, methods those that we know, and a status that a service
    made up counts as another.
    """

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, str, int], Tally] = {}

    def note(self, route: str, method: str, status: int, seconds: float) -> None:
        """One request was answered; this is on the way of every request."""
        tally = self._tallies.get((route, method, status))
        if tally is None:
            tally = self._tally(route, method, status)
        tally.classes[bisect_left(BOUNDS, seconds)] += 1
        tally.seconds += seconds

    def collect(self) -> Iterator[Metric]:
        """Everything, now."""
        family = families.REQUEST_SECONDS
        metric = HistogramMetricFamily(family.name, family.meaning, labels=family.labels)
        for (route, method, status), tally in self._tallies.items():
            metric.add_metric((route, method, str(status) if status else OTHER), _cumulated(tally), tally.seconds)
        yield metric

    def _tally(self, route: str, method: str, status: int) -> Tally:
        known = method if method in KNOWN_METHODS else OTHER
        bounded = status if LEAST_STATUS <= status < BEYOND_STATUS else 0
        return self._tallies.setdefault((route, known, bounded), Tally())


def _cumulated(tally: Tally) -> list[tuple[str, float]]:
    total, buckets = 0, []
    for bound, number in zip((*BOUNDS, "+Inf"), tally.classes, strict=True):
        total += number
        buckets.append((str(bound), float(total)))
    return buckets
