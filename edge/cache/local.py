"""What this worker keeps: answers in memory, bounded in bytes, found by key and by tag."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge.cache.entries import Held

LIMIT_BYTES = 64 * 1024 * 1024


class LocalStore:
    """The least recently used answers go first when the bytes run out."""

    def __init__(self, limit: int = LIMIT_BYTES) -> None:
        self._limit = limit
        self._held: OrderedDict[str, Held] = OrderedDict()
        self._by_tag: dict[str, set[str]] = {}
        self.bytes = 0
        self.evictions = 0

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: str) -> Held | None:
        """The answer under this key, fresh or not; it is now the most recently used."""
        held = self._held.get(key)
        if held is not None:
            self._held.move_to_end(key)
        return held

    def put(self, held: Held) -> bool:
        """Keep it, in place of another under its key. What is larger than the whole room is not kept: ``False``."""
        self.drop(held.entry.key)
        if held.size > self._limit:
            return False
        self._held[held.entry.key] = held
        self.bytes += held.size
        for tag in held.entry.tags:
            self._by_tag.setdefault(tag, set()).add(held.entry.key)
        while self.bytes > self._limit:
            self.drop(next(iter(self._held)))
            self.evictions += 1
        return True

    def drop(self, key: str) -> None:
        """Keep it no longer."""
        held = self._held.pop(key, None)
        if held is None:
            return
        self.bytes -= held.size
        for tag in held.entry.tags:
            keys = self._by_tag.get(tag, set())
            keys.discard(key)
            if not keys:
                self._by_tag.pop(tag, None)

    def purge(self, tags: Iterable[str]) -> int:
        """Drop every answer that has one of these tags; tells how many those were."""
        keys = set().union(*(self._by_tag.get(tag, ()) for tag in tags))
        for key in keys:
            self.drop(key)
        return len(keys)

    def distrust(self, now: float) -> None:
        """Changes may have gone unheard: all that is kept is from now on only better than nothing."""
        for held in self._held.values():
            held.distrust(now)
