"""Follows the operator's wish for this edge: out, it is not ready and ends connections, but answers whoever comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import structlog

from edge.discovery.following import follow
from shared.contracts.maintenance import WAIT_SECONDS, Maintenance, key_of, read_maintenance

if TYPE_CHECKING:
    from edge.reception import Reception
    from shared.resilience.backoff import Dice

log = structlog.get_logger()

BREATH_SECONDS = 0.2
"""Between two questions, however often Consul answers."""


class Keys(Protocol):
    """What following needs of Consul. It may raise one of ``AGENT_ERRORS``."""

    async def value(self, key: str, *, index: int | None) -> tuple[int, bytes | None, int]:
        """Consul's index, the key's value (``None`` if there is no such key) and the index of its last change."""
        ...


class Attendance:
    """Whether requests should be sent here, as far as an operator is concerned."""

    def __init__(self, reception: Reception, *, on_change: Callable[[bool], None]) -> None:
        self._reception = reception
        self._on_change = on_change
        self.wish: Maintenance | None = None

    def follow(self, wish: Maintenance | None) -> None:
        """Do as is wished. The same wish again changes nothing; of a share only "none" means anything to an edge."""
        if wish == self.wish:
            return
        self.wish = wish
        is_out = wish is not None and wish.is_out
        log.info("edge.maintenance", is_out=is_out, reason=wish.reason if wish else "", by=wish.by if wish else "")
        if is_out:
            self._reception.drain()
        else:
            self._reception.resume()
        self._on_change(is_out)


class MaintenanceWatch:
    """Hands the wish to this worker within moments of every change; Consul away: the last one counts."""

    def __init__(self, keys: Keys, instance: str, attendance: Attendance, *, dice: Dice | None = None) -> None:
        self._keys = keys
        self._key = key_of(instance)
        self._attendance = attendance
        self._dice = dice

    async def run(self) -> None:
        """Follow the key until cancelled."""
        await follow("maintenance", self._next, self._take, breath=BREATH_SECONDS, dice=self._dice)

    async def _next(self, index: int | None) -> tuple[int, Maintenance | None]:
        async with asyncio.timeout(WAIT_SECONDS + 10):
            seen, value, _ = await self._keys.value(self._key, index=index)
        return seen, read_maintenance(value)

    async def _take(self, wish: Maintenance | None) -> None:
        self._attendance.follow(wish)
