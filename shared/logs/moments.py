"""Tells the time of a line, writing out the date once a second instead of once a line."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

SECOND = 1_000_000_000


class Moments:
    """Reads ``clock``: nanoseconds since 1970."""

    def __init__(self, clock: Callable[[], int] = time.time_ns) -> None:
        self._clock = clock
        self._written = (-SECOND, "")

    def now(self) -> str:
        """The moment as ECS wants it: UTC with microseconds and a Z."""
        now = self._clock()
        second, text = self._written  # replaced whole, so that no thread sees the one without the other
        if not 0 <= now - second < SECOND:
            second = now - now % SECOND
            text = f"{datetime.fromtimestamp(second // SECOND, UTC):%Y-%m-%dT%H:%M:%S}"
            self._written = (second, text)
        return f"{text}.{(now - second) // 1000:06}Z"
