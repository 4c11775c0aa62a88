"""Remembers how far a caller is from their limit, so that a read of one who is far from it need not wait to be told."""

from __future__ import annotations

from collections.abc import Sequence

from edge.limiting.limits import Verdict

MOST_CALLERS = 20_000


class Headroom:
    """By the windows asked about: the requests that may still come before one of them could be more than half full.

    Other edges fill the same windows meanwhile; the other half is for that. Who is not known has no headroom.
    """

    def __init__(self) -> None:
        self._left: dict[tuple[str, ...], int] = {}

    def note(self, keys: tuple[str, ...], verdicts: Sequence[Verdict]) -> None:
        """What an answer says."""
        if len(self._left) >= MOST_CALLERS and keys not in self._left:
            self._left.clear()
        self._left[keys] = min([one.remaining - one.quota // 2 for one in verdicts])

    def take(self, keys: tuple[str, ...]) -> bool:
        """Whether one request more stays within it."""
        left = self._left.get(keys, 0)
        if left <= 0:
            return False
        self._left[keys] = left - 1
        return True
