"""Turns what a process keeps anyway into metrics at the moment of a scrape, so that nothing is counted twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from shared.metrics.families import Family

BREAKER_STATES = {"closed": 0, "half_open": 1, "open": 2}
"""As ``kirana_rpc_breaker_state`` tells them."""


class Just(Collector):
    """These families and no more."""

    def __init__(self, *families: Metric) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """As given."""
        return self._families


class Seen(NamedTuple):
    """One series as it stands."""

    labels: tuple[str, ...]
    value: float


def counted(family: Family, *seen: Seen) -> Metric:
    """A counter or gauge with these series."""
    make = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = make(family.name, family.meaning, labels=family.labels)
    for labels, value in seen:
        metric.add_metric(labels, value)
    return metric


def sized(family: Family, sizes: Iterable[tuple[tuple[str, ...], Mapping[int, int]]]) -> Metric:
    """A histogram from how often each size occurred."""
    metric = HistogramMetricFamily(family.name, family.meaning, labels=family.labels)
    for labels, occurred in sizes:
        frozen = dict(occurred)
        buckets = [
            (str(bound), float(sum(times for size, times in frozen.items() if size <= limit)))
            for bound, limit in [*((bound, bound) for bound in family.buckets), ("+Inf", float("inf"))]
        ]
        metric.add_metric(labels, buckets, float(sum(size * times for size, times in frozen.items())))
    return metric
