"""How long to wait before trying again, so that many who failed together do not return together."""

from __future__ import annotations

from typing import Protocol

_MOST_DOUBLINGS = 62


class Dice(Protocol):
    """A source of randomness: ``random.Random`` or a fake."""

    def uniform(self, a: float, b: float) -> float:
        """A number between ``a`` and ``b``."""
        ...


def full_jitter(attempt: int, *, first: float, cap: float, dice: Dice) -> float:
    """Seconds to wait before attempt ``attempt`` (0 is the first repetition).

    Between nothing and ``first`` doubled per attempt, at most ``cap``: the "full jitter" of
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    ceiling = min(cap, first * 2 ** min(max(attempt, 0), _MOST_DOUBLINGS))
    return dice.uniform(0.0, ceiling)
