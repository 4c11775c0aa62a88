"""The one table of all edges, in a key of Consul: read as it changes, and written only over what one has seen."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from edge.discovery.agent import WAIT_SECONDS
from edge.discovery.following import follow

if TYPE_CHECKING:
    from edge.live.current import LiveRoutes
    from shared.resilience.backoff import Dice

KEY = "kirana/edge/routes"
ASK_SECONDS = 2.0
BREATH_SECONDS = 0.05
"""Between two questions, however often Consul answers; of tables that follow faster only the last is looked at."""


class Keys(Protocol):
    """What the shared table needs of Consul. Everything may raise one of ``AGENT_ERRORS``."""

    async def value(self, key: str, *, index: int | None) -> tuple[int, bytes | None, int]:
        """Consul's index, the key's value (``None`` if there is no such key) and the index of its last change (or 0).

        With ``index``, as soon as it differs from then, or after 30 seconds.
        """
        ...

    async def put(self, key: str, value: bytes, *, unchanged_since: int) -> bool:
        """Write unless the key was changed since; ``False`` if it was. 0: only if there is no such key."""
        ...


@dataclass(frozen=True, slots=True)
class Shared:
    """What stands in the key. ``index`` names this state of it; ``text`` is ``None`` if there is no such key."""

    text: str | None
    index: int


class SharedTable:
    """The key. Each question takes two seconds at most and raises ``TimeoutError`` or another of ``AGENT_ERRORS``."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    async def read(self) -> Shared:
        """What stands there now."""
        async with asyncio.timeout(ASK_SECONDS):
            _, value, changed = await self._keys.value(KEY, index=None)
        return Shared(_text(value), changed)

    async def replace(self, seen: Shared, text: str) -> bool:
        """Write, if it still stands as ``seen``."""
        async with asyncio.timeout(ASK_SECONDS):
            return await self._keys.put(KEY, text.encode(), unchanged_since=seen.index)

    async def next(self, index: int | None) -> tuple[int, str | None]:
        """The index and the text as soon as they may differ from ``index``; after 30 seconds in any case."""
        async with asyncio.timeout(WAIT_SECONDS + 10):
            seen, value, _ = await self._keys.value(KEY, index=index)
        return seen, _text(value)


class TableWatch:
    """Hands the shared table to this worker, within moments of every change; Consul away: what is in force stays."""

    def __init__(self, shared: SharedTable, live: LiveRoutes, *, dice: Dice | None = None) -> None:
        self._shared = shared
        self._live = live
        self._dice = dice

    async def run(self) -> None:
        """Follow the key until cancelled."""
        await follow("routes", self._shared.next, self._live.follow, breath=BREATH_SECONDS, dice=self._dice)


def _text(value: bytes | None) -> str | None:
    """Bytes that are no text stay recognisable as such, so that the table is refused for them."""
    return None if value is None else value.decode(errors="surrogateescape")
