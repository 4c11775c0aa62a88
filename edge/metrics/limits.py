"""Who judges the limits, how often, and whom they refuse, as metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.registry import Collector

from shared.metrics import families
from shared.metrics.state import Seen, counted, sized

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from edge.limiting.limiter import Limiter


class LimitState(Collector):
    """The limits of one worker, as they stand. Their names come from the route table."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter

    def collect(self) -> Iterator[Metric]:
        """Everything, now."""
        limiter = self._limiter
        yield counted(families.LIMITS_STATE, Seen((), limiter.is_local))
        yield counted(families.LIMIT_CHECKS, *(Seen((judge,), number) for judge, number in limiter.counts.items()))
        yield counted(families.LIMIT_REFUSALS, *(Seen((name,), number) for name, number in limiter.refused.items()))
        yield sized(families.LIMIT_BATCH_SIZE, [((), limiter.batch_sizes)])
