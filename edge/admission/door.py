"""The limits of one worker, adjusted ten times a second by what requests took and by how late the loop comes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from time import monotonic
from typing import Any

import structlog

from edge.admission.priorities import HTTP
from shared.resilience.adaptive import AdaptiveLimit, LimitPolicy, Priority

log = structlog.get_logger()

BEAT_SECONDS = 0.1
LAG_SECONDS = 0.1
"""A loop that is so late on average has more to do than it can: far beyond the few milliseconds of a busy moment."""

LAG_WEIGHT = 0.3
CALM_BEATS = 50
CROWDED_SECONDS = 1.0


def policy_of(least: int) -> LimitPolicy:
    """The usual policy, but for the least that an operator wants to be let in by each worker for each service."""
    usual = LimitPolicy()
    return replace(usual, least=least, first=max(least, usual.first), most=max(least, usual.most))


class Admission:
    """One per worker; it outlives every route table. Not started, it never adjusts anything."""

    def __init__(self, policy: LimitPolicy | None = None) -> None:
        self._policy = policy or LimitPolicy()
        self._limits: dict[str, AdaptiveLimit] = {}
        self._calm: dict[str, int] = {}
        self._refused: dict[str, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self.lag = 0.0
        self.crowded_until = 0.0

    def limit_of(self, upstream: str) -> AdaptiveLimit:
        """That of one service; one is made for whoever has none."""
        limit = self._limits.get(upstream)
        if limit is None:
            limit = self._limits[upstream] = AdaptiveLimit(self._policy)
        return limit

    def keep_only_http(self, services: frozenset[str]) -> None:
        """Of services that speak HTTP no others are asked any more. The limits of all others stay."""
        kept = {f"{HTTP}{service}" for service in services}
        for upstream, limit in list(self._limits.items()):
            if upstream.startswith(HTTP) and upstream not in kept and not limit.in_flight:
                for known in (self._limits, self._calm, self._refused):
                    known.pop(upstream, None)

    def crowd(self) -> None:
        """Somebody was refused: for a while it is worth looking before anything is made of a request."""
        self.crowded_until = monotonic() + CROWDED_SECONDS

    @property
    def is_lagging(self) -> bool:
        """Whether this worker itself has more to do than it can."""
        return self.lag > LAG_SECONDS

    def start(self) -> None:
        """Begin to adjust."""
        if self._timer is None:
            self._arm()

    def stop(self) -> None:
        """Adjust no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def beat(self, late: float) -> None:
        """End a window that ended ``late`` seconds after its time."""
        self.lag += LAG_WEIGHT * (late - self.lag)
        for upstream, limit in self._limits.items():
            limit.adjust(is_lagging=self.is_lagging)
            self._tell(upstream, limit)

    def state(self) -> dict[str, dict[str, Any]]:
        """Per upstream: the limit, requests under way, and how many were refused, by priority."""
        return {
            upstream: {
                "limit": int(limit.limit),
                "in_flight": limit.in_flight,
                "shed": {priority.name.lower(): limit.refused[priority] for priority in Priority},
            }
            for upstream, limit in self._limits.items()
        }

    def _arm(self) -> None:
        loop = asyncio.get_running_loop()
        self._due = loop.time() + BEAT_SECONDS
        self._timer = loop.call_at(self._due, self._ring)

    def _ring(self) -> None:
        late = asyncio.get_running_loop().time() - self._due
        self._arm()
        self.beat(max(0.0, late))

    def _tell(self, upstream: str, limit: AdaptiveLimit) -> None:
        """Once when refusals begin, once when there were none for five seconds."""
        refused = sum(limit.refused)
        if refused > self._refused.get(upstream, 0):
            if upstream not in self._calm:
                log.warning(
                    "edge.admission.shedding", upstream=upstream, limit=int(limit.limit), lag=round(self.lag, 3)
                )
            self._calm[upstream] = 0
        elif upstream in self._calm:
            self._calm[upstream] += 1
            if self._calm[upstream] >= CALM_BEATS:
                del self._calm[upstream]
                log.info("edge.admission.calm", upstream=upstream, limit=int(limit.limit), shed=refused)
        self._refused[upstream] = refused
