"""Judges by the windows that all edges share, and alone, by the same policy, while those are away."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import structlog

from edge.limiting.gathering import UNANSWERED, Gathering
from edge.limiting.limits import Asked, Check, Limit, LimitsAway, Taken, Verdict
from edge.limiting.local_windows import LocalWindows
from edge.limiting.refusals import Refusals
from edge.limiting.shared_windows import AWAY, SharedWindows

log = structlog.get_logger()

MOST_LIMITS = 10_000
MOST_WINDOWS = 10_000
MOST_ROUNDS = 3
"""Each tells what was admitted during the one before, which is soon as little as it can be."""


class Patience(NamedTuple):
    """Seconds: to wait for an ``answer`` and for ``opening`` the connection; between looks for a Redis that is away.

    ``settling``: a Redis that has forgotten is used again when every worker has had the time to look and to tell it
    what it had admitted. Before, nobody could say what is left.
    """

    answer: float = 0.04
    opening: float = 0.2
    between_looks: float = 0.5
    settling: float = 0.6


PATIENCE = Patience()


class Asking:
    """One request that is being counted; ``seat`` is what Redis will say of it, ``asked_at`` of a monotonic clock."""

    __slots__ = ("_limiter", "asked_at", "keys", "limits", "seat")

    def __init__(
        self,
        limiter: Limiter,
        limits: Sequence[Limit],
        keys: tuple[str, ...],
        seat: asyncio.Future[Taken],
        asked_at: float,
    ) -> None:
        self._limiter = limiter
        self.limits = limits
        self.keys = keys
        self.seat = seat
        self.asked_at = asked_at

    async def verdicts(self) -> list[Verdict]:
        """Wait for them, once. Raises as :meth:`Limiter.take`."""
        return self._limiter.judge(self, await self.seat)


class Limiter:
    """``edges`` says how many workers share a quota while each must judge alone; ``scale`` multiplies all quotas.

    Until :meth:`open` it judges alone. Loud once per absence of Redis that outlasts the first look for it.
    """

    def __init__(
        self,
        shared: SharedWindows,
        *,
        scale: float = 1.0,
        edges: Callable[[], int] = lambda: 1,
        monotonic: Callable[[], float] = time.monotonic,
        patience: Patience = PATIENCE,
    ) -> None:
        self._shared = shared
        self._patience = patience
        self._gathering = Gathering(
            shared,
            checks_of=self._checks,
            on_answer=self._answered,
            on_loss=self._lost,
            patience=patience.answer,
        )
        self._local = LocalWindows(monotonic=monotonic)
        self._refusals = Refusals()
        self._scale = scale
        self._room: dict[tuple[str, ...], int] = {}
        self._quotas: dict[Limit, int] = {}
        self._edges = edges
        self._monotonic = monotonic
        self._epoch = ""
        self._revival: asyncio.Task[None] | None = None
        self.is_local = True
        self.counts: Counter[str] = Counter(shared=0, local=0, unjudged=0)
        self.refused: Counter[str] = Counter()

    @property
    def batch_sizes(self) -> Counter[int]:
        """How many requests asked together, and how often."""
        return self._gathering.batch_sizes

    async def open(self) -> None:
        """Connect. If Redis is away, it is looked for in the background."""
        self._lost(ConnectionError("not yet connected"))
        if self._revival is not None:
            await asyncio.wait([self._revival], timeout=self._patience.opening)

    async def close(self) -> None:
        """Let go; who still asks is judged alone."""
        self.is_local = True
        if self._revival is not None:
            self._revival.cancel()
            await asyncio.gather(self._revival, return_exceptions=True)
        self._shared.abort()

    async def take(self, limits: Sequence[Limit], keys: tuple[str, ...]) -> list[Verdict]:
        """Count one request under all of ``limits``, whose windows are ``keys``, or under none of them.

        Raises :class:`LimitsAway` while Redis is away and one of them says ``away: refuse``.
        """
        if self.is_local:
            return self._alone(limits, keys)
        if self._refusals and (known := self._refusals.find(keys, limits, self._monotonic())):
            self._count_refusal(known)
            return known
        return await self._ask(limits, keys).verdicts()

    def begin(self, limits: Sequence[Limit], keys: tuple[str, ...]) -> Asking | None:
        """Begin to :meth:`take` for a request that will most likely be admitted, and can go on meanwhile.

        ``None``, with nothing begun, while Redis is away, and where as many wait for their verdicts as there was room
        for at the last one; where nobody knows of any, one goes first.
        """
        if self.is_local or self._gathering.asking(keys) >= self._room.get(keys, 1):
            return None
        return self._ask(limits, keys)

    def judge(self, asking: Asking, taken: Taken) -> list[Verdict]:
        """What was told of one request, or when nothing was, what this worker says alone. Raises as :meth:`take`."""
        limits, keys = asking.limits, asking.keys
        if taken is UNANSWERED:
            return self._alone(limits, keys)
        self.counts["shared"] += 1
        verdicts = self._verdicts(limits, taken)
        if not taken.admitted:
            self._refusals.note(keys, limits, verdicts, taken=taken, asked_at=asking.asked_at)
        if len(self._room) >= MOST_WINDOWS:
            self._room.clear()
        self._room[keys] = min([left for left, _ in taken.left])
        return verdicts

    def _ask(self, limits: Sequence[Limit], keys: tuple[str, ...]) -> Asking:
        return Asking(self, limits, keys, self._gathering.ask(limits, keys), self._monotonic())

    def _alone(self, limits: Sequence[Limit], keys: Sequence[str]) -> list[Verdict]:
        judged: list[Limit] = []
        windows: list[str] = []
        for one, key in zip(limits, keys, strict=True):
            if one.rate.away == "refuse":
                self.counts["unjudged"] += 1
                raise LimitsAway
            if one.rate.away == "local":
                judged.append(one)
                windows.append(key)
        self.counts["local"] += 1
        taken = self._local.take(self._checks(judged, windows, share=max(1, self._edges())))
        return self._verdicts(judged, taken)

    def _quota(self, limit: Limit) -> int:
        quota = self._quotas.get(limit)
        if quota is None:
            if len(self._quotas) >= MOST_LIMITS:  # tables come and go
                self._quotas.clear()
            quota = self._quotas[limit] = max(1, int(limit.rate.quota * self._scale))
            self.refused[limit.name] += 0  # an alarm must see the step from 0 to 1
        return quota

    def _checks(self, limits: Sequence[Limit], keys: Sequence[str], *, share: int = 1) -> tuple[Check, ...]:
        return tuple(
            [Check(key, -(-self._quota(one) // share), one.rate.window) for one, key in zip(limits, keys, strict=True)]
        )

    def _verdicts(self, limits: Sequence[Limit], taken: Taken) -> list[Verdict]:
        """If it was refused, those limits are the reason of which nothing is left."""
        verdicts = [
            Verdict(
                one.name,
                self._quota(one),
                one.rate.window,
                taken.admitted > 0 or left > 0,
                left,
                max(1, math.ceil(reset)),
            )
            for one, (left, reset) in zip(limits, taken.left, strict=True)
        ]
        if not taken.admitted:
            self._count_refusal(verdicts)
        return verdicts

    def _count_refusal(self, verdicts: Sequence[Verdict]) -> None:
        for one in verdicts:
            if not one.allowed:
                self.refused[one.name] += 1

    def _answered(self, group: Asked, taken: Taken) -> None:
        if taken.admitted:
            self._local.note(group.checks, taken.admitted)
        if self._shared.epoch != self._epoch:
            self._lost(ConnectionError("Redis has lost what it knew"))

    def _lost(self, fault: Exception) -> None:
        self.is_local = True
        if self._revival is None or self._revival.done():
            self._revival = asyncio.get_running_loop().create_task(self._revive(fault))

    async def _revive(self, reason: Exception) -> None:
        """Look for Redis at once, then again and again."""
        is_told = False
        while (fault := await self._look()) is not None:
            if not is_told:
                log.error("edge.limits_are_local", reason=repr(reason), fault=repr(fault))
                is_told = True
            await asyncio.sleep(self._patience.between_looks)
        if is_told:
            log.warning("edge.limits_are_shared_again")

    async def _look(self) -> Exception | None:
        """What is still wrong; ``None`` when Redis is there, knows everything, and is asked again.

        Under load somebody is admitted during every round trip, so the last of them are told by a question that is
        sent before any other's.
        """
        try:
            async with asyncio.timeout(self._patience.opening):
                await self._shared.open()
            await self._settle()
            self.is_local = False
            await self._tell(every=False)
        except AWAY as fault:
            self.is_local = True
            return fault
        return ConnectionError("Redis was lost again") if self.is_local else None

    async def _settle(self) -> None:
        """Tell Redis what it does not know, until nothing, or only the latest, is left to tell."""
        if self._epoch not in {"", self._shared.epoch}:
            await self._tell(every=True)
            await asyncio.sleep(self._patience.settling)
        self._epoch = self._shared.epoch
        for _ in range(MOST_ROUNDS):
            if not await self._tell(every=False):
                return

    async def _tell(self, *, every: bool) -> bool:
        charges, strike = self._local.debts(every=every)
        await self._shared.charge(charges)
        strike()
        return bool(charges)
