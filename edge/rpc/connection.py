"""Keeps a link to the broker alive for as long as the worker lives, and says at once when there is none."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING

import structlog

from edge.rpc.failures import Blame, NotExecuted, OutcomeUnknown
from edge.rpc.link import LINK_ERRORS, Link
from shared.resilience.backoff import Dice, full_jitter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from edge.rpc.pending import Pending

log = structlog.get_logger()

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
OPENING_SECONDS = 5.0


class Broker:
    """Reconnects for ever. Followers run while a link lives and are cancelled with it."""

    def __init__(self, url: str, *, name: str, pending: Pending, dice: Dice | None = None) -> None:
        self._url = url
        self._name = name
        self._pending = pending
        self._dice = dice or random.SystemRandom()
        self._followers: list[Callable[[Link], Awaitable[None]]] = []
        self._task: asyncio.Task[None] | None = None
        self._link: Link | None = None
        self._burials: set[asyncio.Task[None]] = set()
        self.counts: Counter[str] = Counter()

    def follow(self, follower: Callable[[Link], Awaitable[None]]) -> None:
        """Run ``follower`` on every new link; what it raises is logged and it starts again."""
        self._followers.append(follower)

    @property
    def is_connected(self) -> bool:
        """Whether calls can be sent now."""
        return self._link is not None and not self._link.is_blocked

    def link(self) -> Link:
        """The live link. Raises ``NotExecuted`` at once when there is none."""
        if self._link is None or self._link.lost.done():
            raise NotExecuted("the broker is away", 2, blame=Blame.BROKER)
        return self._link

    async def open(self, *, patience: float = OPENING_SECONDS) -> None:
        """Start connecting, and wait a little for the first link; a broker that is away is no reason not to start."""
        first = asyncio.Event()
        self._task = asyncio.create_task(self._run(first), name="broker")
        try:
            async with asyncio.timeout(patience):
                await first.wait()
        except TimeoutError:
            log.warning("rpc.link.absent_at_start")

    async def close(self) -> None:
        """Stop reconnecting and close the link."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            await asyncio.gather(*self._burials, return_exceptions=True)

    async def _run(self, first: asyncio.Event) -> None:
        attempt = 0
        while True:
            link = await self._try_open(attempt)
            if link is None:
                await asyncio.sleep(full_jitter(attempt, first=FIRST_PAUSE, cap=LONGEST_PAUSE, dice=self._dice))
                attempt += 1
                continue
            attempt = 0
            first.set()
            await self._live(link)

    async def _try_open(self, attempt: int) -> Link | None:
        try:
            async with asyncio.timeout(OPENING_SECONDS):
                link = await Link.open(self._url, name=self._name, on_reply=self._pending.resolve)
        except LINK_ERRORS as fault:
            self.counts["refused"] += 1
            if attempt == 0:
                log.warning("rpc.link.refused", reason=f"{type(fault).__name__}: {fault}")
            return None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return None  # aiormq's own way to say that the connection was closed under it
        self.counts["opened"] += 1
        log.info("rpc.link.opened", attempts=attempt + 1)
        return link

    async def _live(self, link: Link) -> None:
        self._link = link
        followers = [asyncio.create_task(self._follow(follower, link)) for follower in self._followers]
        reason = "closed"
        try:
            reason = await asyncio.shield(link.lost)
            log.warning("rpc.link.lost", reason=reason)
        finally:
            self._link = None
            self._pending.fail_all(OutcomeUnknown(f"the link was lost: {reason}", blame=Blame.BROKER))
            for task in followers:
                task.cancel()
            burial = asyncio.create_task(link.close())  # the next link need not wait for the last one's goodbye
            self._burials.add(burial)
            burial.add_done_callback(self._burials.discard)

    async def _follow(self, follower: Callable[[Link], Awaitable[None]], link: Link) -> None:
        attempt = 0
        while not link.lost.done():
            try:
                await follower(link)
            except Exception as fault:  # noqa: BLE001 - a follower's fault must not end the link it follows
                if attempt == 0:
                    log.warning("rpc.follower.failed", follower=follower.__qualname__, reason=repr(fault))
            else:
                return
            await asyncio.sleep(full_jitter(attempt, first=0.5, cap=5.0, dice=self._dice))
            attempt += 1
