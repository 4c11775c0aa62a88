"""Which events the broker does not take at present: theirs wait, so that the others leave."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from shared.resilience.backoff import Dice

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 10.0  # what a type's next attempt costs is one batch: it may come soon
_MOST_DOUBLINGS = 10


@dataclass(frozen=True, slots=True)
class _Hold:
    attempts: int
    until: float


class Holds:
    """Event types that were refused, or met with silence, each left alone for a while that doubles every time.

    By type, not by event or aggregate: the broker's no speaks of a queue that is full or not there, and queues are
    bound by type. So there are never more holds than types, however many events wait.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, dice: Dice | None = None) -> None:
        self._clock = clock
        self._dice = dice or random.Random()  # noqa: S311  # jitter, not a secret
        self._holds: dict[str, _Hold] = {}

    @property
    def current(self) -> list[str]:
        """The types that are to be left alone now."""
        return [event_type for event_type, hold in self._holds.items() if hold.until > self._clock()]

    @property
    def doubted(self) -> Collection[str]:
        """The types that are, and those that were and have not been taken since."""
        return self._holds.keys()

    def learn(self, *, taken: Collection[str], refused: Collection[str]) -> None:
        """What the broker said of a batch: a type of which it took some is not refused for long."""
        for event_type in taken:
            self._holds.pop(event_type, None)
        for event_type in refused:
            before = self._holds.get(event_type)
            self._holds[event_type] = self._hold(before.attempts if before else 0)

    def _hold(self, attempts: int) -> _Hold:
        longest = min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** min(attempts, _MOST_DOUBLINGS))
        return _Hold(attempts + 1, self._clock() + self._dice.uniform(longest / 2, longest))
