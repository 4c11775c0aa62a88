"""The rules of coalescing, without I/O and without a clock: every method says what to wake and what to send.

What it promises, each held by ``tests/unit/shared/resilience/test_coalescing_machine.py``:

- Nobody is held back to fill a batch: while there is a free slot, whoever waits does so only until the end of the
  driver's current turn, so that callers who come in one turn leave in one batch.
- Errands leave in order of arrival, so those of one key do too. With one slot they are also *run* in that order.
- A caller joins an errand of the same key only while that one still waits: no answer is older than its question.
- Every caller is told once; those who cancel are not told, and change nothing for anybody else.
- A batch's errands are settled one by one; its slot is freed by the driver, with ``released`` or ``finished``.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterable
from typing import Any, Generic

from shared.resilience.coalescing.deadlines import Deadlines
from shared.resilience.coalescing.outcomes import Closed, Expired, Overloaded, Unanswered
from shared.resilience.coalescing.travellers import (
    Batch,
    CoalescingPolicy,
    Effects,
    Errand,
    Item,
    Result,
    Told,
    Waiter,
)

NOTHING: Effects[Any, Any] = Effects()

_COUNTED_AS: dict[type[Exception], str] = {
    Overloaded: "refused",
    Expired: "expired",
    Closed: "closed",
    Unanswered: "unanswered",
}


class Coalescing(Generic[Item, Result]):
    """``now`` is seconds of any clock that never goes backwards; deadlines are moments of the same clock.

    ``counts`` has every caller under ``arrived`` and, when it is over, under one of ``answered``, ``failed``,
    ``refused``, ``expired``, ``closed``, ``unanswered`` and ``cancelled``; besides, ``shared`` for those who joined
    another's errand, and ``late`` for answers for which nobody waited any more.
    """

    def __init__(self, policy: CoalescingPolicy) -> None:
        self._policy = policy
        self._queue: OrderedDict[Errand[Item], None] = OrderedDict()
        self._joinable: dict[Hashable, Errand[Item]] = {}
        self._deadlines: Deadlines[Item] = Deadlines()
        self._under_way: dict[Batch[Item], None] = {}
        self._is_closed = False
        self.waiting = 0
        self.in_flight = 0
        self.slots_taken = 0
        self.counts: Counter[str] = Counter()
        self.batch_sizes: Counter[int] = Counter()

    def arrive(self, waiter: Waiter[Item], now: float) -> Effects[Item, Result]:
        """Admit a caller, or tell it at once why not. It leaves with the next ``depart``."""
        told = self._expire(now)
        self.counts["arrived"] += 1
        refusal = self._refusal(waiter, now)
        if refusal is None:
            self._admit(waiter)
        else:
            self._count(refusal)
            told.append(Told(waiter, None, refusal))
        return Effects(told) if told else NOTHING

    @property
    def is_due(self) -> bool:
        """Whether somebody waits and could leave: the driver is to call ``depart`` before it does anything else."""
        return bool(self._queue) and self.slots_taken < self._policy.batches

    def depart(self, now: float) -> Effects[Item, Result]:
        """Let leave whoever waits, as far as there are slots."""
        return Effects(self._expire(now), self._departures())

    def cancel(self, waiter: Waiter[Item]) -> None:
        """A caller has gone, wherever its errand is; nothing is to be done. One who was told already may say so too."""
        if waiter.errand is not None:
            self.counts["cancelled"] += 1
            self._let_go(waiter)

    def answered(self, answers: Iterable[tuple[Errand[Item], Result]]) -> Effects[Item, Result]:
        """These errands of batches under way are done. Only the first outcome of each counts."""
        told: list[Told[Item, Result]] = []
        for errand, result in answers:
            self._settle(errand, result, None, told)
        return Effects(told)

    def failed(self, errand: Errand[Item], error: Exception) -> Effects[Item, Result]:
        """An errand of a batch under way went wrong, alone. Only the first outcome counts."""
        told: list[Told[Item, Result]] = []
        self._settle(errand, None, error, told)
        return Effects(told)

    def released(self, batch: Batch[Item], now: float) -> Effects[Item, Result]:
        """Another batch may leave, though this one still has answers to give. Repeating it changes nothing."""
        told = self._expire(now)
        self._free_slot(batch)
        return Effects(told, self._departures())

    def finished(self, batch: Batch[Item], now: float, *, error: Exception | None = None) -> Effects[Item, Result]:
        """Nothing more will come of ``batch``: whoever still waits for it is told ``error``, else ``Unanswered``."""
        told = self._expire(now)
        if batch in self._under_way:
            del self._under_way[batch]
            self._free_slot(batch)
            self._abandon(batch, error or Unanswered("the batch ended without this answer"), told)
        return Effects(told, self._departures())

    def expired(self, now: float) -> Effects[Item, Result]:
        """Tell those whose deadline has come: ``Expired`` if they never left, else ``Unanswered``."""
        return Effects(self._expire(now))

    def next_deadline(self) -> float | None:
        """When ``expired`` has something to tell next."""
        return self._deadlines.next()

    def close(self) -> None:
        """Admit nobody any more; who waits already still leaves."""
        self._is_closed = True

    def dismiss(self) -> Effects[Item, Result]:
        """Close, and tell everybody now: ``Closed`` if they never left, else ``Unanswered``."""
        self._is_closed = True
        told: list[Told[Item, Result]] = []
        while self._queue:
            errand, _ = self._queue.popitem(last=False)
            self._settle(errand, None, Closed("closed while waiting"), told)
        for batch in self._under_way:
            self._free_slot(batch)
            self._abandon(batch, Unanswered("closed before the answer came"), told)
        self._under_way.clear()
        self._joinable.clear()
        return Effects(told)

    def _refusal(self, waiter: Waiter[Item], now: float) -> Exception | None:
        if self._is_closed:
            return Closed("no longer open")
        if waiter.deadline is not None and waiter.deadline <= now:
            return Expired("the deadline had passed on arrival")
        if self.waiting + self.in_flight >= self._policy.room:
            return Overloaded(f"{self._policy.room} callers wait already")
        return None

    def _admit(self, waiter: Waiter[Item]) -> None:
        errand = None if waiter.key is None else self._joinable.get(waiter.key)
        if errand is None:
            errand = Errand(waiter.item, waiter.key)
            self._queue[errand] = None
            if waiter.key is not None:
                self._joinable[waiter.key] = errand
        else:
            self.counts["shared"] += 1
        errand.waiters[waiter] = None
        waiter.errand = errand
        self._deadlines.add(waiter)
        self.waiting += 1

    def _departures(self) -> list[Batch[Item]]:
        leaving = []
        while self._queue and self.slots_taken < self._policy.batches:
            size = min(len(self._queue), self._policy.batch_size)
            errands = tuple(self._queue.popitem(last=False)[0] for _ in range(size))
            for errand in errands:
                self._depart(errand)
            batch = Batch(errands)
            self.slots_taken += 1
            self._under_way[batch] = None
            self.batch_sizes[size] += 1
            leaving.append(batch)
        return leaving

    def _depart(self, errand: Errand[Item]) -> None:
        errand.has_left = True
        if errand.key is not None:
            del self._joinable[errand.key]
        self.waiting -= len(errand.waiters)
        self.in_flight += len(errand.waiters)

    def _settle(
        self, errand: Errand[Item], result: Result | None, error: Exception | None, told: list[Told[Item, Result]]
    ) -> None:
        """Tell all who wait for it, who then wait for nothing; it is in no queue any more."""
        waiters = errand.waiters
        if not waiters:
            self.counts["late"] += error is None
            return
        for waiter in waiters:
            told.append(Told(waiter, result, error))
            waiter.errand = None
            self._deadlines.drop(waiter)
        callers = len(waiters)
        if errand.has_left:
            self.in_flight -= callers
        else:
            self.waiting -= callers
        self._count(error, callers)
        waiters.clear()

    def _abandon(self, batch: Batch[Item], error: Exception, told: list[Told[Item, Result]]) -> None:
        for errand in batch.errands:
            self._settle(errand, None, error, told)

    def _expire(self, now: float) -> list[Told[Item, Result]]:
        if now < self._deadlines.earliest:
            return []
        return [self._tell_expired(waiter) for waiter in self._deadlines.passed(now)]

    def _tell_expired(self, waiter: Waiter[Item]) -> Told[Item, Result]:
        has_left = waiter.errand is not None and waiter.errand.has_left
        error = (
            Unanswered("the deadline passed before the answer came")
            if has_left
            else Expired("the deadline passed before a batch had room")
        )
        self._let_go(waiter)
        self._count(error)
        return Told(waiter, None, error)

    def _count(self, error: Exception | None, callers: int = 1) -> None:
        self.counts["answered" if error is None else _COUNTED_AS.get(type(error), "failed")] += callers

    def _let_go(self, waiter: Waiter[Item]) -> None:
        """Forget a caller; an errand that still waits, and now for nobody, is forgotten with it."""
        errand, waiter.errand = waiter.errand, None
        if errand is None:
            return
        del errand.waiters[waiter]
        self._deadlines.drop(waiter)
        if errand.has_left:
            self.in_flight -= 1
            return
        self.waiting -= 1
        if not errand.waiters:
            self._queue.pop(errand, None)  # ``dismiss`` takes it out first
            if errand.key is not None:
                self._joinable.pop(errand.key, None)

    def _free_slot(self, batch: Batch[Item]) -> None:
        if batch.holds_slot:
            batch.holds_slot = False
            self.slots_taken -= 1
