"""Fetches answers, once per key for all who want them, from the other workers by way of Redis or from the target."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import structlog

from edge.cache.entries import OK, Entry, Held, is_shareable, kept_headers, may_be_kept
from edge.cache.flights import Asked, Flight, Outcome, for_nobody
from edge.cache.local import LocalStore
from edge.cache.shared import Look, SharedStore
from edge.rpc.calls import Deadline
from edge.rpc.failures import NotExecuted
from shared.contracts.refusals import DeadlinePassed

if TYPE_CHECKING:
    from sanic import HTTPResponse

    from edge.exchange import Exchange
    from shared.resilience.backoff import Dice

log = structlog.get_logger()

RETRY_SECONDS = 1.0
GRACE_SECONDS = 0.25
"""What knows of its deadline ends by itself and says why; this is for what does not, as an answer that stands still."""

AHEAD_SECONDS = 1.0
"""By how much the clocks of two edges may differ."""

JITTER = 0.1
"""Entries that were fetched together expire apart: each lives up to a tenth shorter than its ``ttl``."""


@dataclass(kw_only=True)
class Fetching:
    """All fetches of one worker. What is fetched goes to ``local``, and to ``shared`` for the other workers."""

    local: LocalStore
    shared: SharedStore
    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    dice: Dice = field(default_factory=random.SystemRandom)
    flights: dict[str, Flight] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    grace: float = GRACE_SECONDS
    """Seconds after its deadline at which a fetch is stopped."""
    trusted_since: float = 0.0
    """What was fetched before this moment (seconds since the epoch) may have missed a purge."""

    def outdate(self, tags: Collection[str] | None = None) -> None:
        """What is being fetched with one of these tags (``None``: whatever is) will not be kept, nor joined."""
        for flight in self.flights.values():
            flight.is_outdated = flight.is_outdated or tags is None or not set(flight.tags).isdisjoint(tags)

    def distrust(self) -> None:
        """From now on older answers, wherever they come from, are not taken for fresh."""
        self.trusted_since = self.wall()
        self.local.distrust(self.monotonic())
        self.outdate()

    async def close(self) -> None:
        """Stop what is being fetched."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def joinable(self, key: str) -> Flight | None:
        """A fetch of this answer that is under way, that no purge has outdated, and that is in time."""
        flight = self.flights.get(key)
        if flight is None or flight.is_outdated or flight.landed.done() or flight.deadline.remaining() <= 0:
            return None
        return flight

    def start(self, asked: Asked, *, in_background: bool) -> Flight:
        """Fetch it. In the background it goes on though nobody waits, and asks the target for what is merely stale."""
        deadline = Deadline.after(asked.plan.route_deadline)
        tags = asked.plan.tags_of(asked.exchange)
        flight = Flight(asked.key, tags, deadline, is_wanted_anyway=in_background)
        work = self._fly(flight, asked, for_nobody(asked, deadline), in_background=in_background)
        flight.task = asyncio.create_task(work, name="cache")
        if (late := self.flights.get(asked.key)) is not None:
            late.is_outdated = True
        self.flights[asked.key] = flight
        self.tasks.add(flight.task)
        flight.task.add_done_callback(partial(self._ended, flight))
        return flight

    def _ended(self, flight: Flight, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if self.flights.get(flight.key) is flight:
            del self.flights[flight.key]
        if not task.cancelled() and (fault := task.exception()) is not None:
            log.error("edge.cache.fetch_failed", exc_info=fault)
        flight.land(Outcome(fault=NotExecuted("the fetch was stopped")))

    async def _fly(self, flight: Flight, asked: Asked, fetch: Exchange, *, in_background: bool) -> None:
        """Look in Redis, else ask the target; tell all who wait; then let the other workers have it."""
        look = await self.shared.look(asked.key, flight.tags, life=asked.plan.life)
        held = self._found(flight, look)
        now = self.monotonic()
        if held is not None and now < (held.fresh_until if in_background else held.revalidate_until):
            flight.land(Outcome(held=held, was_shared=True))
            return
        began, wall = now, self.wall()
        try:
            response = await self._answer(asked, fetch)
        except Exception as fault:  # noqa: BLE001 - it is raised where somebody waits for it
            flight.land(Outcome(fault=fault, rpc_seconds=fetch.rpc_seconds))
            await self._note_fault(flight)
            return
        if not is_shareable(response):
            flight.land(Outcome(response=response, rpc_seconds=fetch.rpc_seconds))
            await self._note_fault(flight)
            return
        entry = self._entry(asked, flight, response, wall)
        held = Held(entry, age=self.monotonic() - began, now=self.monotonic())
        may_keep = may_be_kept(response, private=asked.plan.policy.private) and not flight.is_outdated
        is_stored = may_keep and self.local.put(held)
        flight.land(Outcome(held=held, is_stored=is_stored, rpc_seconds=fetch.rpc_seconds))
        if may_keep and look.generations is not None:
            # there is no end to the queries that can be thought of, and Redis keeps the limits' windows, too
            life = asked.plan.brief_life if fetch.request.query_string else asked.plan.life
            await self.shared.store(entry, look.generations, life=life)
        elif not may_keep:
            await self._note_fault(flight)

    async def _answer(self, asked: Asked, fetch: Exchange) -> HTTPResponse:
        """The target's. Raises what that does, and ``DeadlinePassed`` when it goes on and on."""
        limit = asyncio.timeout(fetch.deadline.remaining() + self.grace)
        try:
            async with limit:
                return await asked.proceed(fetch)
        except TimeoutError:
            if limit.expired():
                raise DeadlinePassed from None
            raise

    def _found(self, flight: Flight, look: Look) -> Held | None:
        """What Redis had, now kept here too, unless it has been purged since or is older than what is here.

        Nobody knows how old an answer of the time to come is: a clock was set back after it was fetched.
        """
        if look.entry is None or flight.is_outdated:
            return None
        now, age = self.monotonic(), self.wall() - look.entry.fetched_at
        if age < -AHEAD_SECONDS:
            return None
        held = Held(look.entry, age=max(0.0, age), now=now)
        if look.entry.fetched_at < self.trusted_since:
            held.distrust(now)
        current = self.local.get(flight.key)
        if current is not None and current.fetched >= held.fetched:
            return None
        self.local.put(held)
        return held

    async def _note_fault(self, flight: Flight) -> None:
        """After a failure the old answer stands for a moment before the next try; after a no it is gone for good."""
        outcome = flight.landed.result()
        if outcome.is_failure:
            held = self.local.get(flight.key)
            if held is not None:
                held.retry_at = self.monotonic() + RETRY_SECONDS
        elif outcome.fault is not None or outcome.status != OK:
            self.local.drop(flight.key)
            await self.shared.drop(flight.key)

    def _entry(self, asked: Asked, flight: Flight, response: HTTPResponse, fetched_at: float) -> Entry:
        policy = asked.plan.policy
        return Entry(
            key=asked.key,
            body=response.body or b"",
            content_type=response.headers.get("content-type", response.content_type),
            headers=kept_headers(response, private=policy.private, vary=policy.vary == "caller-class"),
            tags=flight.tags,
            fetched_at=fetched_at,
            ttl=policy.ttl * (1.0 - self.dice.uniform(0.0, JITTER)),
            while_revalidating=policy.stale_while_revalidate,
            if_error=policy.stale_if_error,
            status=response.status,
        )
