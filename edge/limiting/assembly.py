"""Puts a worker's limiter together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.limiting.limiter import Limiter
from edge.limiting.shared_windows import RedisWindows

if TYPE_CHECKING:
    from edge.discovery.table import InstanceTable
    from edge.settings import Settings


def make_limiter(settings: Settings, table: InstanceTable) -> Limiter:
    """Each worker that works has its share while Redis is away; without Consul those of this edge are known.

    Without Redis none of them passes whole, and all warn: they are counted all the same.
    """
    return Limiter(
        RedisWindows(settings.redis_url),
        scale=settings.rate_scale,
        edges=lambda: max(settings.workers, table.alive("edge")),
    )
