"""Whoever asks while an answer is awaited asks together with the next question: one round trip for all of a tick."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from edge.limiting.limits import Asked, Check, Limit, Taken
from edge.limiting.shared_windows import SharedWindows
from edge.limiting.tracing import Question
from shared.tracing import recording

LARGEST_BATCH = 512
UNANSWERED = Taken(-1, ())
"""What a seat is told when nobody knows."""


class Gathering:
    """``on_answer`` is called for each group that was answered, before its seats are told.

    ``on_loss`` is called when Redis failed, before everybody who waits is told ``UNANSWERED``. An answer is waited for
    ``patience`` seconds; the second half of them starts after the loop has read what was there, so that a busy moment
    of our own is not taken for one of Redis's.
    """

    def __init__(
        self,
        shared: SharedWindows,
        *,
        checks_of: Callable[[Sequence[Limit], Sequence[str]], tuple[Check, ...]],
        on_answer: Callable[[Asked, Taken], None],
        on_loss: Callable[[Exception], None],
        patience: float,
    ) -> None:
        self._half = patience / 2
        self._shared = shared
        self._checks_of = checks_of
        self._on_answer = on_answer
        self._on_loss = on_loss
        self._groups: dict[tuple[str, ...], Asked] = {}
        self._under_way: dict[tuple[str, ...], Asked] = {}
        self._is_departing = False
        self._alarm: asyncio.TimerHandle | None = None
        self._callers: list[str] = []
        self._question: Question | None = None
        self.batch_sizes: Counter[int] = Counter()

    def ask(self, limits: Sequence[Limit], keys: tuple[str, ...]) -> asyncio.Future[Taken]:
        """Join the next question. Who asks about the same ``keys`` joins one group, whose checks are made once."""
        loop = asyncio.get_running_loop()
        group = self._groups.get(keys)
        if group is None:
            group = self._groups[keys] = Asked(self._checks_of(limits, keys))
            if not self._is_departing and not self._under_way:
                self._is_departing = True
                loop.call_soon(self._depart)
        seat: asyncio.Future[Taken] = loop.create_future()
        group.seats.append(seat)
        if recording.active is not None and (caller := recording.here.get()) is not None:
            self._callers.append(caller)
        return seat

    def asking(self, keys: tuple[str, ...]) -> int:
        """How many have asked about these and know nothing yet."""
        groups = (self._groups.get(keys), self._under_way.get(keys))
        return sum([len(group.seats) for group in groups if group is not None])

    def _depart(self) -> None:
        self._is_departing = False
        if self._under_way or not self._groups:
            return
        names = list(self._groups)[:LARGEST_BATCH]
        asked = self._under_way = {name: self._groups.pop(name) for name in names}
        callers, self._callers = self._callers, []
        self._question = Question(callers, len(asked)) if callers else None
        self._alarm = asyncio.get_running_loop().call_later(self._half, self._be_patient)
        try:
            self._shared.take(list(asked.values()), partial(self._arrived, asked))
        except ConnectionError as fault:
            self._arrived(asked, fault)

    def _be_patient(self) -> None:
        self._alarm = asyncio.get_running_loop().call_later(self._half, self._lose_patience)

    def _lose_patience(self) -> None:
        self._arrived(self._under_way, TimeoutError("no answer in time"))
        self._shared.abort()

    def _arrived(self, asked: dict[tuple[str, ...], Asked], answer: list[Taken] | Exception) -> None:
        if asked is not self._under_way:
            return  # it was given up before
        self._under_way = {}
        if self._question is not None:
            self._question.over(answer)
        if self._alarm is not None:
            self._alarm.cancel()
        if isinstance(answer, Exception):
            self._give_up(asked.values(), answer)
            return
        self.batch_sizes[sum([len(group.seats) for group in asked.values()])] += 1
        for group, taken in zip(asked.values(), answer, strict=True):
            self._on_answer(group, taken)
            _tell(group, taken)
        self._depart()

    def _give_up(self, asked: Iterable[Asked], fault: Exception) -> None:
        self._on_loss(fault)
        waiting, self._groups = self._groups, {}
        for group in (*asked, *waiting.values()):
            _tell(group, UNANSWERED)


def _tell(group: Asked, taken: Taken) -> None:
    """Give each seat its own answer: the first ``admitted`` are in, and each sees what was left after itself."""
    admitted = taken.admitted
    refused = taken if admitted <= 0 else Taken(0, taken.left)
    for position, seat in enumerate(group.seats):
        if seat.done():
            continue  # its request has gone
        if position >= admitted:
            seat.set_result(refused)
        elif after := admitted - position - 1:
            seat.set_result(Taken(1, [(left + after, reset) for left, reset in taken.left]))
        else:
            seat.set_result(taken)
