"""Who and what travels: a caller waits, callers who ask the same share an errand, and errands leave in a batch."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Generic, TypeVar

from msgspec import Struct

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class CoalescingPolicy:
    """How much may be under way.

    ``batches`` hold a slot at a time, each of at most ``batch_size`` errands; ``room`` callers at most have no outcome
    yet, be they waiting for a batch or for its answer.
    """

    batches: int = 4
    batch_size: int = 64
    room: int = 10_000

    def __post_init__(self) -> None:
        if min(self.batches, self.batch_size, self.room) < 1:
            raise ValueError("A coalescing policy needs at least one batch, of one errand, with room for one caller.")


class Waiter(Generic[Item]):
    """One caller. ``seat`` is whatever the driver wakes the caller with.

    ``key`` equal to another's says that both ask for the same and that one answer serves both: reads only.
    ``deadline`` is a moment of the clock whose ``now`` the machine is given. Raises ``TypeError`` for a key that cannot
    be one and ``ValueError`` for a deadline that never comes: in the machine they would harm the other callers.
    """

    __slots__ = ("deadline", "errand", "item", "key", "seat")

    def __init__(self, item: Item, *, seat: Any, key: Hashable | None = None, deadline: float | None = None) -> None:
        hash(key)
        if deadline is not None and not isfinite(deadline):
            raise ValueError("A deadline is a moment that comes.")
        self.item = item
        self.seat = seat
        self.key = key
        self.deadline = deadline
        self.errand: Errand[Item] | None = None
        """What it waits for; ``None`` before it is admitted and after it was told, or left."""


class Errand(Generic[Item]):
    """One thing to do, for one caller or for several who asked the same."""

    __slots__ = ("has_left", "item", "key", "waiters")

    def __init__(self, item: Item, key: Hashable | None) -> None:
        self.item = item
        self.key = key
        self.waiters: dict[Waiter[Item], None] = {}  # an ordered set: thousands may share a hot key
        self.has_left = False

    @property
    def is_wanted(self) -> bool:
        """Whether anybody still waits for it; if not, a sender may leave it out."""
        return bool(self.waiters)

    @property
    def deadline(self) -> float | None:
        """When the last who waits for it is gone; ``None`` when that is never."""
        if len(self.waiters) == 1:  # as nearly always
            return next(iter(self.waiters)).deadline
        return _latest([waiter.deadline for waiter in self.waiters])


class Batch(Generic[Item]):
    """Errands that leave together, in the order in which they came."""

    __slots__ = ("errands", "holds_slot")

    def __init__(self, errands: tuple[Errand[Item], ...]) -> None:
        self.errands = errands
        self.holds_slot = True

    @property
    def deadline(self) -> float | None:
        """When the last who waits for any of it is gone; ``None`` when that is never."""
        return _latest([waiter.deadline for errand in self.errands for waiter in errand.waiters])


class Told(Struct, Generic[Item, Result], frozen=True):
    """A caller to wake, with a result or with an error."""

    waiter: Waiter[Item]
    result: Result | None = None
    error: Exception | None = None


class Effects(Struct, Generic[Item, Result], frozen=True):
    """What the driver has to do now: wake these callers, send these batches."""

    told: Sequence[Told[Item, Result]] = ()
    leaving: Sequence[Batch[Item]] = ()


def _latest(deadlines: list[float | None]) -> float | None:
    known = [deadline for deadline in deadlines if deadline is not None]
    return max(known) if known and len(known) == len(deadlines) else None
