"""Stops work whose time is up: one look at all that runs, ten times a second, in place of a timer for every call."""

from __future__ import annotations

import time
from typing import Any

from eventlet import getcurrent
from eventlet.hubs import get_hub

LOOK_SECONDS = 0.1


class WorkTimedOut(Exception):
    """The work was stopped: its deadline passed a while ago."""


class Stopping:
    """The block; a class of its own, as a generator would cost more than most of what is watched."""

    __slots__ = ("_overdue", "_seconds")

    def __init__(self, overdue: Overdue, seconds: float) -> None:
        self._overdue = overdue
        self._seconds = seconds

    def __enter__(self) -> None:
        self._overdue.begin(self, self._seconds)

    def __exit__(self, *fault: object) -> None:
        self._overdue.end(self)


class Overdue:
    """For the greenlets of one hub. Work is stopped up to :data:`LOOK_SECONDS` after its time."""

    def __init__(self) -> None:
        self._running: dict[Stopping, tuple[float, Any]] = {}
        self._is_looking = False

    def __len__(self) -> int:
        return len(self._running)

    def stopping(self, seconds: float) -> Stopping:
        """Raise :class:`WorkTimedOut` in the block when it takes longer; again at every look, if it is caught there."""
        return Stopping(self, seconds)

    def begin(self, work: Stopping, seconds: float) -> None:
        """Watch the current greenlet."""
        self._running[work] = (time.monotonic() + seconds, getcurrent())
        self._look_soon()

    def end(self, work: Stopping) -> None:
        """It is done."""
        del self._running[work]

    def _look_soon(self) -> None:
        if not self._is_looking and self._running:
            self._is_looking = True
            get_hub().schedule_call_global(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        """Runs in the hub, so that all work waits for something just now, and can be told."""
        self._is_looking = False
        now = time.monotonic()
        for work, (until, worker) in list(self._running.items()):
            if until <= now and work in self._running:  # what was told before it may have ended this one
                worker.throw(WorkTimedOut())
        self._look_soon()
