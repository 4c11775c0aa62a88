"""What a worker's cache did and holds, as metrics."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from prometheus_client.registry import Collector

from edge.cache.answering import Tally
from shared.metrics import families
from shared.metrics.state import Seen, counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from edge.cache.answering import ResponseCache

OUTCOMES = tuple(field.name for field in fields(Tally))


class CacheState(Collector):
    """The cache of one worker, as it stands."""

    def __init__(self, cache: ResponseCache) -> None:
        self._cache = cache

    def collect(self) -> Iterator[Metric]:
        """Everything, now."""
        cache = self._cache
        yield counted(
            families.CACHE_REQUESTS,
            *(
                Seen((route, outcome), getattr(tally, outcome))
                for route, tally in sorted(cache.tallies.items())
                for outcome in OUTCOMES
            ),
        )
        yield counted(families.CACHE_BYTES, Seen((), cache.local.bytes))
        yield counted(families.CACHE_EVICTIONS, Seen((), cache.local.evictions))
        yield counted(families.CACHE_PURGES, *(Seen((reason,), count) for reason, count in cache.purges.items()))
        yield counted(families.CACHE_SHARED_FAILURES, Seen((), cache.shared.counts["failures"]))
