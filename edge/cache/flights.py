"""One fetch for all who want the same answer at the same time, whoever of them goes away meanwhile."""

from __future__ import annotations

import asyncio
import time
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sanic.compat import Header

from edge.problems import PROBLEMS, Rejected
from edge.rpc.failures import ANSWER_MARGIN, CallFailure, RemoteRefusal
from shared.contracts.refusals import Refusal

if TYPE_CHECKING:
    from sanic import HTTPResponse

    from edge.cache.entries import Held
    from edge.cache.plan import Plan
    from edge.exchange import Exchange, Target
    from edge.rpc.calls import Deadline

SERVER_FAULT = 500
FOR_NOW = frozenset({408, 425, 429})
"""Of the 4xx, those that say nothing of the resource: too slow, too early, too many."""

WORTH_ANOTHER_TRY = 0.25
"""Seconds that somebody must have left to begin again after a fetch that began before they came ran out of time."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for an answer that may be kept, and the rest of its way."""

    exchange: Exchange
    proceed: Target
    plan: Plan
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a fetch came to: an answer for all (``held``), one for its leader only (``response``), or a ``fault``."""

    held: Held | None = None
    is_stored: bool = False
    was_shared: bool = False
    response: HTTPResponse | None = None
    fault: Exception | None = None
    rpc_seconds: float = 0.0

    @property
    def status(self) -> int:
        """Of the answer; 0 where there is none."""
        return self.held.entry.status if self.held is not None else self.response.status if self.response else 0

    @property
    def is_failure(self) -> bool:
        """Whether an old answer is better than this."""
        if self.fault is not None:
            return is_failure(self.fault)
        return self.status >= SERVER_FAULT or self.status in FOR_NOW


class Flight:
    """A fetch under way. When nobody waits for it any more it is stopped, unless it is wanted anyway."""

    __slots__ = ("began", "deadline", "is_outdated", "is_wanted_anyway", "key", "landed", "tags", "task", "waiting")

    def __init__(self, key: str, tags: tuple[str, ...], deadline: Deadline, *, is_wanted_anyway: bool) -> None:
        self.key = key
        self.tags = tags
        self.deadline = deadline
        self.began = time.monotonic()
        self.is_wanted_anyway = is_wanted_anyway
        self.is_outdated = False
        """A purge came after it began, or another fetch after its deadline: who waits gets its answer, nobody else."""
        self.waiting = 0
        self.task: asyncio.Task[None] | None = None
        self.landed: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def land(self, outcome: Outcome) -> None:
        """Tell all who wait; only the first word counts."""
        if not self.landed.done():
            self.landed.set_result(outcome)

    async def wait(self, seconds: float | None) -> Outcome | None:
        """The outcome, or ``None`` if it takes longer. Whoever is cancelled here takes nobody along."""
        self.waiting += 1
        try:
            await asyncio.wait([self.landed], timeout=seconds)
            if not self.landed.done():
                self.is_wanted_anyway = True
                return None
            return self.landed.result()
        finally:
            self.waiting -= 1
            if not self.waiting and not self.is_wanted_anyway and not self.landed.done() and self.task is not None:
                self.is_outdated = True
                self.task.cancel()

    def patience(self, seconds: float) -> float:
        """What is left of so many seconds since it began: who comes later waits no longer than who came first."""
        return max(0.0, self.began + seconds - time.monotonic())

    def ran_out_before(self, exchange: Exchange) -> bool:
        """Whether it failed for want of time that this request still has."""
        return (
            self.deadline.remaining() <= 2 * ANSWER_MARGIN
            and exchange.deadline.remaining() >= max(WORTH_ANOTHER_TRY, 2 * ANSWER_MARGIN)
            and exchange.deadline.monotonic > self.deadline.monotonic
        )


def for_nobody(asked: Asked, deadline: Deadline) -> Exchange:
    """The exchange of a fetch: no header of the client's reaches the target, so none can colour what others are given.

    Of an answer that is kept for all, the target does not even know who asked, or from where; of one that is kept for a
    class of callers, only which that is.
    """
    request = copy(asked.exchange.request)
    told = asked.exchange.request.headers.get("authorization") if asked.plan.policy.private else None
    request.headers = Header({} if told is None else {"authorization": told})
    request.method = "GET"
    request.stream = None
    request.conn_info = request.conn_info if asked.plan.policy.private else None
    fetch = copy(asked.exchange)
    fetch.request = request
    fetch.deadline = deadline
    fetch.verdicts = []
    fetch.rpc_seconds = 0.0
    fetch.caller_class = asked.plan.class_told(asked.exchange.caller)
    if not asked.plan.policy.private:
        fetch.caller = None
    return fetch


def is_failure(fault: Exception) -> bool:
    """Whether this tells of trouble (5xx, or "not now"), and not of the resource (4xx)."""
    if isinstance(fault, CallFailure):
        return True
    if isinstance(fault, RemoteRefusal | Refusal | Rejected):
        problem = PROBLEMS.get(fault.code)
        return problem is None or problem.retryable or problem.status >= SERVER_FAULT
    return True
