"""Remembers what a field's name means, because the lines of a shop say the same few names again and again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

Meaning = TypeVar("Meaning")

MOST_NAMES: Final = 2_000
LONGEST_NAME: Final = 128


class ByName(dict[str, Meaning]):
    """What each name means, worked out once by ``meaning_of``.

    Bounded, as names may come from input: it forgets all of them when there are too many, and never keeps a long one.
    """

    def __init__(self, meaning_of: Callable[[str], Meaning]) -> None:
        super().__init__()
        self._meaning_of = meaning_of

    def __missing__(self, name: str) -> Meaning:
        meaning = self._meaning_of(name)
        if len(name) <= LONGEST_NAME:
            if len(self) >= MOST_NAMES:
                self.clear()
            self[name] = meaning
        return meaning
