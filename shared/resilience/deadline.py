"""A deadline is a moment on the wall clock, so that it means the same in every process a call passes through."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

from msgspec import Struct

WallClock = Callable[[], float]
"""Seconds since the epoch."""

FAIR_SECONDS = 0.1
"""A call that begins, or a frame that leaves, with less time than this says nothing of the service when it gets no
answer in it."""

_LATEST_MS = 2**53


class NotADeadline(ValueError):
    """What came as a deadline is not milliseconds since the epoch."""


class Deadline(Struct, frozen=True, order=True):
    """Milliseconds since the epoch after which nobody works for the caller."""

    epoch_ms: int

    @classmethod
    def after(cls, span: timedelta, *, clock: WallClock = time.time) -> Deadline:
        """So much time from now."""
        return cls(int((clock() + span.total_seconds()) * 1000))

    @classmethod
    def read(cls, value: object) -> Deadline:
        """Read a header's value. Raises :class:`NotADeadline`."""
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LATEST_MS:
            raise NotADeadline("A deadline is a whole number of milliseconds since the epoch.")
        return cls(value)

    def remaining(self, *, clock: WallClock = time.time) -> timedelta:
        """How long is left; negative when it has passed."""
        return timedelta(seconds=self.remaining_seconds(clock=clock))

    def remaining_seconds(self, *, clock: WallClock = time.time) -> float:
        """The same as a number, for where it is asked a thousand times a second."""
        return self.epoch_ms / 1000 - clock()

    def has_passed(self, *, clock: WallClock = time.time) -> bool:
        """Whether the caller has gone."""
        return clock() * 1000 >= self.epoch_ms
