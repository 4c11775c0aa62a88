"""Notices clocks that do not agree: a call that was sent after it came was sent by one that is ahead of ours."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger()

MOST_AHEAD_SECONDS = 2.0
TOLD_EVERY_SECONDS = 60.0


class Clocks:
    """Those of our callers, as far as their calls tell. ``clock`` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told_at = -math.inf

    def compare(self, method: str, *, sent_ns: int, came_ns: int) -> None:
        """Both since the epoch, by its caller's clock and by ours. Warns at most once a minute."""
        ahead = (sent_ns - came_ns) / 1e9
        if ahead > MOST_AHEAD_SECONDS and self._clock() - self._told_at >= TOLD_EVERY_SECONDS:
            self._told_at = self._clock()
            log.warning("rpc.clocks_differ", method=method, ahead_seconds=round(ahead, 1))
