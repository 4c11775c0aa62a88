"""What operators rule of breakers, kept in Redis, so that every worker of every edge obeys within a second or so."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

import structlog
from redis.exceptions import RedisError, ResponseError

from edge.rpc.failures import OutcomeUnknown
from shared.resilience.breaker import BreakerState
from shared.resilience.circuit import WHOLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis.asyncio import Redis

    from edge.rpc.guard import Guard

log = structlog.get_logger()

KEY = "edge:breakers"
LOOK_SECONDS = 1.0
REDIS_ERRORS = (RedisError, OSError, TimeoutError)

Ruling = Literal["open", "closed", "automatic"]


class RulingsAway(Exception):
    """Redis cannot be asked, or says no: nothing was changed."""


class Rulings:
    """A hash: ``service`` or ``service.method`` to ``open`` or ``closed``. What is not in it decides for itself.

    Every worker reads the whole hash every second, so one that was started later, or was cut off, comes to the same
    view. While Redis is away the last rulings hold; a Redis that was emptied has none.
    """

    def __init__(self, redis: Redis, guard: Guard) -> None:
        self._redis = redis
        self._guard = guard
        self._is_away = False

    async def run(self) -> None:
        """Follow the rulings until cancelled."""
        while True:
            try:
                await self.look()
            except REDIS_ERRORS as fault:
                if not self._is_away:
                    log.warning("rpc.rulings.away", reason=type(fault).__name__)
                self._is_away = True
            else:
                self._is_away = False
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Obey what is ruled now. Raises one of ``REDIS_ERRORS``."""
        self._guard.rule(read_rulings(await self._redis.hgetall(KEY)))

    async def hold(self, service: str, method: str | None, ruling: Ruling) -> None:
        """Rule for every worker, and obey here at once.

        Raises :class:`RulingsAway` when Redis cannot even be asked, and so was told nothing, or says no. What it was
        told and does not answer it may have done, or do yet: :class:`OutcomeUnknown`.
        """
        place = service if method is None else f"{service}.{method}"
        try:
            await self.look()
        except REDIS_ERRORS as fault:
            raise RulingsAway(type(fault).__name__) from None
        try:
            await self._tell(place, ruling)
        except ResponseError as fault:
            raise RulingsAway(type(fault).__name__) from None
        except REDIS_ERRORS as fault:
            log.warning("rpc.breaker.ruling_unanswered", guarded=service, method=method or "all", ruling=ruling)
            raise OutcomeUnknown(f"Redis did not say whether it has the ruling: {type(fault).__name__}") from None
        log.warning("rpc.breaker.ruled", guarded=service, method=method or "all", ruling=ruling)
        with suppress(*REDIS_ERRORS):  # it is ruled, and whoever follows sees it within a second
            await self.look()

    async def _tell(self, place: str, ruling: Ruling) -> None:
        if ruling == "automatic":
            await self._redis.hdel(KEY, place)
        else:
            await self._redis.hset(KEY, place, ruling)


def read_rulings(found: Mapping[Any, Any]) -> dict[str, dict[str, BreakerState]]:
    """By service and method. What makes no sense is nobody's ruling."""
    words = {"open": BreakerState.OPEN, "closed": BreakerState.CLOSED}
    rulings: dict[str, dict[str, BreakerState]] = {}
    for place, word in found.items():
        service, _, method = _text(place).partition(".")
        if (state := words.get(_text(word))) is not None:
            rulings.setdefault(service, {})[method or WHOLE] = state
    return rulings


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
