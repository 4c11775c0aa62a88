"""Follows the operator's wish for this edge: out, it is not ready and ends connections, but answers whoever comes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import structlog

from edge.discovery.agent import AGENT_ERRORS
from edge.discovery.watch import next_index
from shared.contracts.maintenance import WAIT_SECONDS, Maintenance, key_of, read_maintenance
from shared.resilience.backoff import Dice, full_jitter

if TYPE_CHECKING:
    from edge.reception import Reception

log = structlog.get_logger()

LONGEST_PAUSE = 5.0
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
        self._reception.is_draining = is_out
        self._on_change(is_out)


class MaintenanceWatch:
    """Hands the wish to this worker within moments of every change; Consul away: the last one counts."""

    def __init__(self, keys: Keys, instance: str, attendance: Attendance, *, dice: Dice | None = None) -> None:
        self._keys = keys
        self._key = key_of(instance)
        self._attendance = attendance
        self._dice = dice or random.SystemRandom()

    async def run(self) -> None:
        """Follow the key until cancelled."""
        index: int | None = None
        attempt = 0
        while True:
            try:
                async with asyncio.timeout(WAIT_SECONDS + 10):
                    seen, value, _ = await self._keys.value(self._key, index=index)
            except AGENT_ERRORS as fault:
                log.debug("edge.maintenance.not_followed", reason=type(fault).__name__)
                await asyncio.sleep(full_jitter(attempt, first=0.5, cap=LONGEST_PAUSE, dice=self._dice))
                index, attempt = None, attempt + 1
                continue
            index, attempt = next_index(index, seen), 0
            self._attendance.follow(read_maintenance(value))
            await asyncio.sleep(BREATH_SECONDS)
