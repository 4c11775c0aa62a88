"""A batch in the hands of whoever sends it: the only thing a lane, a loader or a pipeline sees of coalescing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic

from shared.resilience.coalescing.machine import Coalescing
from shared.resilience.coalescing.travellers import Batch, Effects, Errand, Item, Result


class Sending(Generic[Item, Result]):
    """The sender answers or fails each errand on its own, in any order, as soon as it can.

    The batch ends when the ``send`` that was given it ends; what has no outcome by then fails, with what ``send``
    raised or as ``Unanswered``. Its slot is free for the next batch from then on, or from ``release()`` on.
    """

    def __init__(
        self,
        batch: Batch[Item],
        machine: Coalescing[Item, Result],
        *,
        do: Callable[[Effects[Item, Result]], None],
        clock: Callable[[], float],
    ) -> None:
        self._batch = batch
        self._machine = machine
        self._do = do
        self._clock = clock

    def __len__(self) -> int:
        return len(self._batch.errands)

    @property
    def errands(self) -> tuple[Errand[Item], ...]:
        """What to do, in order of arrival."""
        return self._batch.errands

    @property
    def items(self) -> list[Item]:
        """What was asked for, in the order of ``errands``."""
        return [errand.item for errand in self._batch.errands]

    @property
    def deadline(self) -> float | None:
        """When the last who waits for any of it is gone, by the driver's clock; ``None`` when that is never."""
        return self._batch.deadline

    def answer(self, errand: Errand[Item], result: Result) -> None:
        """Give all who wait for ``errand`` their answer. A second outcome is ignored."""
        self._do(self._machine.answered([(errand, result)]))

    def answer_all(self, answers: Iterable[tuple[Errand[Item], Result]]) -> None:
        """The same for several that were answered together."""
        self._do(self._machine.answered(answers))

    def fail(self, errand: Errand[Item], error: Exception) -> None:
        """Fail this errand and no other. A second outcome is ignored."""
        self._do(self._machine.failed(errand, error))

    def release(self) -> None:
        """Let the next batch leave, though answers of this one are still to come."""
        self._do(self._machine.released(self._batch, self._clock()))
