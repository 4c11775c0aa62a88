"""Knows whose deadline comes next, so that one timer serves every caller."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import count
from math import inf
from typing import Generic

from shared.resilience.coalescing.travellers import Item, Waiter

_TOO_FEW_TO_TIDY = 64


class Deadlines(Generic[Item]):
    """A heap of waiters. Those who are gone are skipped when met, and swept out when they are most of it."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Waiter[Item]]] = []
        self._arrivals = count()  # breaks ties in order of arrival
        self._present = 0
        self.earliest = inf
        """No deadline is before this moment: a look at it spares most looks at the heap."""

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, waiter: Waiter[Item]) -> None:
        """Watch ``waiter``, if it has a deadline."""
        if waiter.deadline is not None:
            self._present += 1
            heappush(self._heap, (waiter.deadline, next(self._arrivals), waiter))
            self.earliest = min(self.earliest, waiter.deadline)

    def drop(self, waiter: Waiter[Item]) -> None:
        """``waiter``, whose errand is ``None`` by now, needs no watching any more."""
        if waiter.deadline is None:
            return
        self._present -= 1
        if len(self._heap) > 2 * self._present + _TOO_FEW_TO_TIDY:
            self._heap = [entry for entry in self._heap if entry[2].errand is not None]
            heapify(self._heap)

    def next(self) -> float | None:
        """The earliest deadline of those who still wait."""
        while self._heap and self._heap[0][2].errand is None:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def passed(self, now: float) -> list[Waiter[Item]]:
        """Take out everyone whose deadline has come, earliest first; each is still to be dropped."""
        gone = []
        while self._heap and self._heap[0][0] <= now:
            waiter = heappop(self._heap)[2]
            if waiter.errand is not None:
                gone.append(waiter)
        self.earliest = self._heap[0][0] if self._heap else inf
        return gone
