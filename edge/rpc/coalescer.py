"""Lets the requests of one worker that meet at a boundary cross it together: coalescing, driven by asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Hashable
from functools import partial
from typing import Any, Generic, TypeVar

from shared.resilience.coalescing import Batch, Coalescing, CoalescingPolicy, Effects, Sending, Unanswered, Waiter

Item = TypeVar("Item")
Result = TypeVar("Result")

LONGEST_SEND = 30.0
"""Seconds after which a send that does not end is stopped, so that its slot is never lost."""

STOPPING_SECONDS = 1.0


class Coalescer(Generic[Item, Result]):
    """``send`` is given one batch at a time per slot; see :class:`Sending` for what it may do with it.

    ``longest_send`` is in seconds. Deadlines are moments of ``time.monotonic``.
    """

    def __init__(
        self,
        send: Callable[[Sending[Item, Result]], Coroutine[Any, Any, None]],
        *,
        policy: CoalescingPolicy | None = None,
        longest_send: float = LONGEST_SEND,
    ) -> None:
        self._send = send
        self._longest_send = longest_send
        self._sends: set[asyncio.Task[None]] = set()
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0
        self._is_departing = False
        self._known_loop: asyncio.AbstractEventLoop | None = None
        self.machine: Coalescing[Item, Result] = Coalescing(policy or CoalescingPolicy())

    async def submit(self, item: Item, *, key: Hashable | None = None, deadline: float | None = None) -> Result:
        """Have ``item`` sent and wait for its own answer. Safe to cancel at any moment.

        Calls with an equal ``key`` that meet while waiting share one item and one answer. Raises ``Overloaded``,
        ``Expired``, ``Closed`` (it never left), ``Unanswered`` (nobody knows), and whatever the sender failed it with.
        """
        seat: asyncio.Future[Result] = self._loop().create_future()
        waiter = Waiter(item, seat=seat, key=key, deadline=deadline)
        try:
            self._do(self.machine.arrive(waiter, time.monotonic()))
            if deadline is not None and (self._alarm is None or deadline < self._alarm_at):
                self._watch(deadline)
            return await seat
        except BaseException:
            self.machine.cancel(waiter)
            if not seat.cancel() and not seat.cancelled():
                seat.exception()  # seen: an error that came when its caller had just gone is not to be reported
            del seat, waiter  # they hold what is raised, which holds this frame: only the collector breaks such a ring
            raise

    async def close(self, *, drain: float) -> None:
        """Admit nobody, wait ``drain`` seconds for those who are in, then tell the rest and stop what still sends."""
        self.machine.close()
        self._do(self.machine.depart(time.monotonic()))
        give_up = time.monotonic() + drain
        while self._sends and (left := give_up - time.monotonic()) > 0:
            await asyncio.wait(self._sends, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        self._do(self.machine.dismiss())
        if self._alarm is not None:
            self._alarm.cancel()
        for task in self._sends:
            task.cancel()
        if self._sends:
            await asyncio.wait(self._sends, timeout=STOPPING_SECONDS)

    def _do(self, effects: Effects[Item, Result]) -> None:
        for told in effects.told:
            seat, error = told.waiter.seat, told.error
            if seat.done():  # cancelled, but its task has not run since
                continue
            if error is None:
                seat.set_result(told.result)
            elif isinstance(error, StopIteration):  # no future takes one, and its caller must not be left waiting
                seat.set_exception(RuntimeError("the sender failed with StopIteration"))
            else:
                seat.set_exception(error)
        for batch in effects.leaving:
            task = self._loop().create_task(self._send(Sending(batch, self.machine, do=self._do, clock=time.monotonic)))
            limit = self._loop().call_later(self._longest_send, task.cancel)  # asyncio.timeout() costs ten times that
            self._sends.add(task)
            task.add_done_callback(partial(self._ended, batch, limit))
        if not self._is_departing and self.machine.is_due:
            self._is_departing = True
            self._loop().call_soon(self._depart)

    def _depart(self) -> None:
        self._is_departing = False
        self._do(self.machine.depart(time.monotonic()))

    def _ended(self, batch: Batch[Item], limit: asyncio.TimerHandle, task: asyncio.Task[None]) -> None:
        """Runs however a send ends, even one that was cancelled before it began: here no slot can be lost."""
        self._sends.discard(task)
        is_overdue = limit.when() <= self._loop().time()
        limit.cancel()
        reason = f"sending took longer than {self._longest_send} s" if is_overdue else "sending was stopped"
        fault = Unanswered(reason) if task.cancelled() else task.exception()
        error = fault if isinstance(fault, Exception) else None
        self._do(self.machine.finished(batch, time.monotonic(), error=error))

    def _watch(self, deadline: float) -> None:
        if self._alarm is not None:
            if self._alarm_at <= deadline:
                return
            self._alarm.cancel()
        self._alarm_at = deadline
        self._alarm = self._loop().call_later(max(0.0, deadline - time.monotonic()), self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._do(self.machine.expired(time.monotonic()))
        if (deadline := self.machine.next_deadline()) is not None:
            self._watch(deadline)

    def _loop(self) -> asyncio.AbstractEventLoop:
        """The running one; to ask asyncio each time would be a system call each time."""
        loop = self._known_loop
        if loop is None or loop.is_closed():
            loop = self._known_loop = asyncio.get_running_loop()
        return loop
