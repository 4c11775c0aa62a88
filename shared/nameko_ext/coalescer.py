"""Lets the workers of one service that meet at a boundary cross it together: coalescing, driven by greenlets."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from eventlet import Timeout, spawn
from eventlet.event import Event
from eventlet.hubs import get_hub

from shared.resilience.coalescing import Batch, Coalescing, CoalescingPolicy, Effects, Sending, Unanswered, Waiter

Item = TypeVar("Item")
Result = TypeVar("Result")

LONGEST_SEND = 30.0
"""Seconds after which a send that does not end is stopped, so that its slot is never lost."""


class SendTookTooLong(Exception):
    """Raised inside a send that is stopped."""


class Coalescer(Generic[Item, Result]):
    """``send`` is given one batch at a time per slot; see :class:`Sending` for what it may do with it.

    ``longest_send`` is in seconds. Deadlines are moments of ``time.monotonic``. For the greenlets of one hub: native
    threads must not call it.
    """

    def __init__(
        self,
        send: Callable[[Sending[Item, Result]], None],
        *,
        policy: CoalescingPolicy | None = None,
        longest_send: float = LONGEST_SEND,
    ) -> None:
        self._send = send
        self._longest_send = longest_send
        self._sends: dict[Batch[Item], Any] = {}
        self._drained: Event | None = None
        self._alarm: Any = None
        self._alarm_at = 0.0
        self._is_departing = False
        self.machine: Coalescing[Item, Result] = Coalescing(policy or CoalescingPolicy())

    def submit(self, item: Item, *, key: Hashable | None = None, deadline: float | None = None) -> Result:
        """Have ``item`` sent and wait for its own answer. The greenlet may be killed or timed out at any moment.

        Calls with an equal ``key`` that meet while waiting share one item and one answer. Raises ``Overloaded``,
        ``Expired``, ``Closed`` (it never left), ``Unanswered`` (nobody knows), and whatever the sender failed it with.
        """
        seat = Event()
        waiter = Waiter(item, seat=seat, key=key, deadline=deadline)
        try:
            self._do(self.machine.arrive(waiter, time.monotonic()))
            if deadline is not None:
                self._watch(deadline)
            result: Result
            result, fault = seat.wait()
            if fault is not None:
                raise fault
            return result
        finally:
            self.machine.cancel(waiter)
            del seat, waiter
            fault = None  # these hold what is raised, which holds this frame: only the collector breaks such a ring

    def close(self, *, drain: float) -> None:
        """Admit nobody, wait ``drain`` seconds for those who are in, then tell the rest and stop what still sends."""
        self.machine.close()
        self._do(self.machine.depart(time.monotonic()))
        if self._sends:
            self._drained = Event()
            with Timeout(drain, exception=False):
                self._drained.wait()
        self._do(self.machine.dismiss())
        if self._alarm is not None:
            self._alarm.cancel()
        for thread in list(self._sends.values()):
            thread.kill()

    def _do(self, effects: Effects[Item, Result]) -> None:
        for told in effects.told:
            told.waiter.seat.send((told.result, told.error))  # raised by wait(), the fault would hold the seat
        for batch in effects.leaving:
            self._sends[batch] = spawn(self._run, batch)
        if not self._is_departing and self.machine.is_due:
            self._is_departing = True
            get_hub().schedule_call_global(0, self._depart)

    def _depart(self) -> None:
        self._is_departing = False
        self._do(self.machine.depart(time.monotonic()))

    def _run(self, batch: Batch[Item]) -> None:
        fault: Exception | None = None
        try:
            with Timeout(self._longest_send, SendTookTooLong()):
                self._send(Sending(batch, self.machine, do=self._do, clock=time.monotonic))
        except SendTookTooLong:
            fault = Unanswered(f"sending took longer than {self._longest_send} s")
        except Exception as error:  # noqa: BLE001  # it is told to those who wait for this batch
            fault = error
        finally:  # a kill comes by here too
            self._ended(batch, fault)

    def _ended(self, batch: Batch[Item], fault: Exception | None) -> None:
        del self._sends[batch]
        self._do(self.machine.finished(batch, time.monotonic(), error=fault))
        if not self._sends and self._drained is not None and not self._drained.ready():
            self._drained.send(None)

    def _watch(self, deadline: float) -> None:
        if self._alarm is not None:
            if self._alarm_at <= deadline:
                return
            self._alarm.cancel()
        self._alarm_at = deadline
        self._alarm = get_hub().schedule_call_global(max(0.0, deadline - time.monotonic()), self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._do(self.machine.expired(time.monotonic()))
        if (deadline := self.machine.next_deadline()) is not None:
            self._watch(deadline)
