"""Counters and histograms of one thread, at a tenth of what locks and a search through all buckets cost.

All of a process's counting is done by the thread of its event loop or of its greenlets. A count made by another thread
at the very same moment may be lost, nothing else.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from math import inf

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.utils import floatToGoString

from shared.metrics.families import Family


class Count:
    """One series of a counter."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, amount: float = 1) -> None:
        """It happened; ``amount`` is never negative."""
        self.value += amount


class Spread:
    """One series of a histogram: how many values fell into each bucket, and their sum."""

    __slots__ = ("_bounds", "buckets", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.buckets = [0] * len(bounds)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """It was so much; what lies on a bound belongs below it."""
        self.buckets[bisect_left(self._bounds, value)] += 1
        self.total += value


class Counter(Collector):
    """All series of a counter."""

    def __init__(self, family: Family, registry: CollectorRegistry) -> None:
        self._family = family
        self._series: dict[tuple[str, ...], Count] = {}
        registry.register(self)
        if not family.labels:
            self.labels()

    def labels(self, *values: str) -> Count:
        """The series of these values, in the family's order. Bind it before the first time: it starts at zero."""
        return self._series.setdefault(values, Count())

    def collect(self) -> Iterator[CounterMetricFamily]:
        """As it stands."""
        told = CounterMetricFamily(self._family.name, self._family.meaning, labels=self._family.labels)
        for values, count in self._series.copy().items():
            told.add_metric(values, count.value)
        yield told


class Histogram(Collector):
    """All series of a histogram."""

    def __init__(self, family: Family, registry: CollectorRegistry) -> None:
        self._family = family
        self._bounds = (*map(float, family.buckets), inf)
        self._series: dict[tuple[str, ...], Spread] = {}
        registry.register(self)
        if not family.labels:
            self.labels()

    def labels(self, *values: str) -> Spread:
        """The series of these values, in the family's order."""
        series = self._series.get(values)
        if series is None:
            series = self._series[values] = Spread(self._bounds)
        return series

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """As it stands; each bucket counts those below it, too."""
        told = HistogramMetricFamily(self._family.name, self._family.meaning, labels=self._family.labels)
        for values, spread in self._series.copy().items():
            below = zip(map(floatToGoString, self._bounds), accumulate(spread.buckets), strict=True)
            told.add_metric(values, [(bound, float(count)) for bound, count in below], spread.total)
        yield told
