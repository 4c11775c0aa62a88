"""The last five minutes of requests, in slots of two seconds: a fixed number of counters, whatever the traffic."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

SLOT_SECONDS = 2
SLOTS = 150
BOUNDS = tuple(0.00025 * 1.25**step for step in range(48))
"""Upper ends of the classes of latency, in seconds: 0.25 ms to 9 s, each a quarter wider than the one before it, so
that a percentile read from them is off by an eighth at most. What is slower counts in one class beyond the last."""

CLIENT_FAULT = 400
SERVER_FAULT = 500
CLIENT_HAS_GONE = 499


class Slot:
    """What was answered in one slot. ``number`` counts slots since 1970, so that those of all workers line up."""

    __slots__ = ("failed", "latency", "number", "refused")

    def __init__(self, number: int) -> None:
        self.number = number
        self.refused = 0
        self.failed = 0
        self.latency = [0] * (len(BOUNDS) + 1)

    def told(self) -> list[Any]:
        """As plain JSON: number, refused, failed, and how many were in each class of latency that has any."""
        return [self.number, self.refused, self.failed, {str(at): n for at, n in enumerate(self.latency) if n}]


class History:
    """One per worker. ``wall`` gives seconds since 1970; the moments that :meth:`note` is given are monotonic."""

    def __init__(self, *, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._slots: deque[Slot] = deque([Slot(0)], maxlen=SLOTS)
        self._slot = self._slots[-1]
        self._until = float("-inf")
        self.requests = 0

    def note(self, status: int, seconds: float, now: float) -> None:
        """One request was answered ``now``; this is on the way of every request."""
        if now >= self._until:
            self._turn(now)
        slot = self._slot
        slot.latency[bisect_left(BOUNDS, seconds)] += 1
        self.requests += 1
        if status >= CLIENT_FAULT and status != CLIENT_HAS_GONE:
            if status >= SERVER_FAULT:
                slot.failed += 1
            else:
                slot.refused += 1

    def told(self) -> list[list[Any]]:
        """The slots of the last five minutes in which anything was answered, oldest first."""
        since = number_at(self._wall()) - SLOTS
        return [slot.told() for slot in self._slots if slot.number > since]

    def _turn(self, now: float) -> None:
        """Begin the slot of this moment; a clock that was set back goes on with the last one."""
        wall = self._wall()
        self._until = now + SLOT_SECONDS - wall % SLOT_SECONDS
        number = number_at(wall)
        if number > self._slot.number:
            self._slot = Slot(number)
            self._slots.append(self._slot)


def number_at(wall: float) -> int:
    """The slot of this moment, in seconds since 1970."""
    return int(wall // SLOT_SECONDS)


def percentile(latency: Iterable[tuple[int, int]], share: float) -> float | None:
    """The time, in milliseconds, within which this share was answered; ``None`` if nothing was.

    ``latency`` has how many were in each class, in any order.
    """
    ordered = sorted(latency)
    rank = share * sum(count for _, count in ordered)
    for at, count in ordered:
        rank -= count
        if rank <= 0:
            return round(1000 * (BOUNDS[at] if at < len(BOUNDS) else BOUNDS[-1]), 2)
    return None
