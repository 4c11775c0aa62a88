"""Ends what takes too long: one timer for all requests of a worker, where one each took a fifteenth of their time."""

from __future__ import annotations

import asyncio
from asyncio import Task, TimerHandle
from time import monotonic
from typing import Any

TICK_SECONDS = 0.05
"""How much later than asked a limit may strike. Requests have seconds, and their calls keep their own deadlines."""


class Limit:
    """The moment by which one task must be done; made by :meth:`Timekeeper.begin`."""

    __slots__ = ("at", "before", "struck", "task")

    def __init__(self, task: Task[Any], at: float) -> None:
        self.task = task
        self.at = at
        self.before = task.cancelling()
        self.struck = False


class Timekeeper:
    """Cancels tasks that are late, and tells that apart from cancellations by others, as ``asyncio.timeout`` does.

    For one event loop. Every limit that was begun must be ended.
    """

    def __init__(self) -> None:
        self._limits: set[Limit] = set()
        self._timer: TimerHandle | None = None

    def begin(self, seconds: float) -> Limit:
        """From now on the running task has so long."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("A limit needs a task to be cancelled.")
        limit = Limit(task, monotonic() + seconds)
        self._limits.add(limit)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TICK_SECONDS, self._strike)
        return limit

    def end(self, limit: Limit) -> bool:
        """It is done, or has failed. Gives whether a cancellation that it raised was this limit's, and no other's."""
        self._limits.discard(limit)
        return limit.struck and limit.task.uncancel() <= limit.before

    def _strike(self) -> None:
        now = monotonic()
        for limit in [limit for limit in self._limits if limit.at <= now]:
            limit.struck = True
            self._limits.discard(limit)
            limit.task.cancel()
        self._timer = asyncio.get_running_loop().call_later(TICK_SECONDS, self._strike) if self._limits else None
