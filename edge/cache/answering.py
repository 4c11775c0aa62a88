"""Gives answers from what is kept, and fetches what is not: once per key, in the background where it can wait."""

from __future__ import annotations

import random
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge.cache.entries import FRESH, Held
from edge.cache.fetching import Fetching
from edge.cache.flights import Asked, Outcome, for_nobody
from edge.cache.local import LocalStore
from edge.cache.shared import SharedStore

if TYPE_CHECKING:
    import asyncio

    from sanic import HTTPResponse

    from edge.cache.plan import Plan
    from edge.exchange import Exchange
    from shared.resilience.backoff import Dice

STALE_PATIENCE = 1.0
"""Seconds that a fetch may take while an old answer could be given instead."""
MOST_REFRESHES = 32

STORED = "kirana; fwd=miss; stored"
COLLAPSED = "kirana; fwd=miss; collapsed"
NOT_STORED = "kirana; fwd=miss"


@dataclass(slots=True)
class Tally:
    """What became of the requests of one route."""

    hit: int = 0
    stale: int = 0
    miss: int = 0
    collapsed: int = 0
    bypass: int = 0


@dataclass(kw_only=True)
class ResponseCache:
    """One per worker. ``tell`` brings a purge to all other workers of all edges."""

    local: LocalStore = field(default_factory=LocalStore)
    shared: SharedStore = field(default_factory=lambda: SharedStore(None))
    tell: Callable[[Collection[str]], Awaitable[None]] | None = None
    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    dice: Dice = field(default_factory=random.SystemRandom)
    tallies: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    purges: Counter[str] = field(default_factory=Counter)
    fetching: Fetching = field(init=False)
    _refreshes: int = 0

    def __post_init__(self) -> None:
        self.fetching = Fetching(
            local=self.local, shared=self.shared, monotonic=self.monotonic, wall=self.wall, dice=self.dice
        )

    async def answer(self, asked: Asked) -> HTTPResponse:
        """The answer where no fresh one is at hand. Raises what the target raises, if nothing old can stand in."""
        now = self.monotonic()
        held = self.local.get(asked.key)
        if held is not None:
            if now < held.fresh_until:
                return self._hit(asked.exchange, asked.plan, held, now)
            if now < held.revalidate_until:
                return self._stale_while_refreshing(asked, held, now)
            if now < min(held.retry_at, held.error_until):
                return self._stale(asked.exchange, asked.plan, held, now)
        return await self._fetched(asked)

    def backup(self, key: str) -> Held | None:
        """What this worker has under this key, fresh, or stale and still better than an error."""
        held = self.local.get(key)
        return held if held is not None and self.monotonic() < held.error_until else None

    def at_hand(self, exchange: Exchange, plan: Plan) -> HTTPResponse | None:
        """What there is without asking anybody, and without beginning to, for a request that nobody has a place for."""
        key = plan.key_of(exchange)
        held = None if key is None else self.backup(key)
        if held is None:
            return None
        now = self.monotonic()
        return (
            self._hit(exchange, plan, held, now) if now < held.fresh_until else self._stale(exchange, plan, held, now)
        )

    async def purge(self, tags: Collection[str], *, by: str) -> None:
        """Forget, here and in Redis, all that has one of these tags; what is being fetched will not be kept."""
        self.local.purge(tags)
        self.fetching.outdate(tags)
        self.purges[by] += 1
        await self.shared.purge(tags)

    async def purge_everywhere(self, tags: Collection[str]) -> None:
        """Purge here and at every worker of every edge. Raises ``NotExecuted`` when the others cannot be told."""
        await self.purge(tags, by="request")
        if self.tell is not None:
            await self.tell(tags)

    def distrust(self) -> None:
        """Purges may have gone unheard until now: older answers are from now on only better than nothing."""
        self.fetching.distrust()

    async def close(self) -> None:
        """Stop what is being fetched."""
        await self.fetching.close()

    def _hit(self, exchange: Exchange, plan: Plan, held: Held, now: float) -> HTTPResponse:
        self.tallies[plan.route].hit += 1
        return held.response(exchange, now, FRESH)

    def _stale(self, exchange: Exchange, plan: Plan, held: Held, now: float) -> HTTPResponse:
        self.tallies[plan.route].stale += 1
        return held.response(exchange, now, held.stale_status(now))

    def _stale_while_refreshing(self, asked: Asked, held: Held, now: float) -> HTTPResponse:
        if now >= held.retry_at and self.fetching.joinable(asked.key) is None and self._refreshes < MOST_REFRESHES:
            self._refreshes += 1
            task = self.fetching.start(asked, in_background=True).task
            if task is not None:
                task.add_done_callback(self._refreshed)
        return self._stale(asked.exchange, asked.plan, held, now)

    def _refreshed(self, _: asyncio.Task[None]) -> None:
        self._refreshes -= 1

    async def _fetched(self, asked: Asked) -> HTTPResponse:
        while True:
            flight = self.fetching.joinable(asked.key)
            leads = flight is None
            flight = flight or self.fetching.start(asked, in_background=False)
            outcome = await flight.wait(flight.patience(STALE_PATIENCE) if self.backup(asked.key) else None)
            backup = self.backup(asked.key)  # a flight may have found one in Redis; a purge may have taken it
            if backup is not None and (outcome is None or outcome.is_failure):
                return self._stale(asked.exchange, asked.plan, backup, self.monotonic())
            if outcome is None or (outcome.fault is not None and flight.ran_out_before(asked.exchange)):
                continue
            return await self._given(asked, outcome, leads=leads)

    async def _given(self, asked: Asked, outcome: Outcome, *, leads: bool) -> HTTPResponse:
        if outcome.fault is not None:
            self.tallies[asked.plan.route].miss += 1
            raise outcome.fault.with_traceback(None)
        now = self.monotonic()
        if outcome.held is not None and outcome.was_shared:
            if now < outcome.held.fresh_until:
                return self._hit(asked.exchange, asked.plan, outcome.held, now)
            return self._stale_while_refreshing(asked, outcome.held, now)
        tally = self.tallies[asked.plan.route]
        tally.miss += leads
        tally.collapsed += not leads
        if leads:
            asked.exchange.rpc_seconds += outcome.rpc_seconds
        if outcome.held is not None:
            status = (STORED if outcome.is_stored else NOT_STORED) if leads else COLLAPSED
            return outcome.held.response(asked.exchange, now, status)
        if leads and outcome.response is not None:
            response = outcome.response
        else:
            response = await asked.proceed(for_nobody(asked, asked.exchange.deadline))
        response.headers["cache-status"] = NOT_STORED
        return response
