"""Counts how calls ended in the last seconds, in ten slots of a ring, so that what is old falls out by itself."""

from __future__ import annotations

from typing import NamedTuple

SLOTS = 10


class Recent(NamedTuple):
    """The calls of one window. ``apart`` are the failures of which none was lost with another."""

    calls: int
    failures: int
    slow: int
    apart: int


class Tally:
    """``seconds`` is the length of the window; it forgets a tenth of it at a time."""

    def __init__(self, seconds: float) -> None:
        self._width = seconds / SLOTS
        self._slots = [[-1, 0, 0, 0, 0] for _ in range(SLOTS)]

    def note(self, now: float, *, failed: bool = False, slow: bool = False, apart: bool = False) -> None:
        """One call has ended at ``now``."""
        number = int(now / self._width)
        slot = self._slots[number % SLOTS]
        if slot[0] != number:
            slot[:] = (number, 0, 0, 0, 0)
        slot[1] += 1
        if failed or slow:
            slot[2] += failed
            slot[3] += slow
            slot[4] += apart

    def recent(self, now: float) -> Recent:
        """What the window holds at ``now``."""
        oldest = int(now / self._width) - SLOTS
        living = [slot for slot in self._slots if slot[0] > oldest]
        return Recent(*(sum(slot[place] for slot in living) for place in (1, 2, 3, 4)))

    def clear(self) -> None:
        """Forget everything."""
        for slot in self._slots:
            slot[0] = -1
