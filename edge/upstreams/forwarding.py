"""Asks an instance, and where that is safe and there is time, once another one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import structlog
from aiohttp import ClientResponse

from edge.discovery.table import Instance
from edge.problems import Rejected
from edge.rpc.failures import ANSWER_MARGIN, Blame, CallFailure, NotExecuted
from edge.upstreams.failures import Broken, Unreached, Unusable
from edge.upstreams.pool import Outgoing
from edge.upstreams.upload import Upload
from edge.upstreams.way import ABANDONED, ANSWERED, FAILED, NOT_ASKED, UNKNOWN, UNREACHED

if TYPE_CHECKING:
    from edge.rpc.calls import Deadline
    from edge.upstreams.service import Member
    from edge.upstreams.way import Lease, Way

log = structlog.get_logger()

T = TypeVar("T")
Asking = Callable[[Instance, Outgoing], Awaitable[T]]

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
NOT_WELL = frozenset({502, 503, 504})
"""An instance that answers so cannot do its work. Any other status is about the request, be it a fault of the code."""

FAIR_SHARE = 0.5
"""Of the time that a request of the route has at most. A service that had less of it, and gave no answer, has failed at
nothing: the client took the time for its body, or the edge took it."""

RETRY_PAUSE = (0.05, 0.2)
"""Seconds, by lot: of many whose instance failed at once, not all are to reach the next one at once, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request and what decides where it goes: see :meth:`edge.upstreams.way.Way.pick`.

    ``holder`` is who keeps the place for a tunnel; ``None`` where the answer ends it.
    """

    outgoing: Outgoing
    deadline: Deadline
    key: bytes = b""
    named: str | None = None
    stays: bytes = b""
    holder: str | None = None

    @property
    def upload(self) -> Upload | None:
        """The body, if it is passed on while it comes."""
        return self.outgoing.body if isinstance(self.outgoing.body, Upload) else None

    def may_repeat(self, fault: CallFailure | Unusable | None) -> bool:
        """Whether another instance may be asked: nothing happened, or it may happen twice; and the body is whole.

        No ``fault`` is an answer: one that is no use.
        """
        if self.upload is not None and self.upload.is_touched:
            return False
        return isinstance(fault, Unreached) or self.outgoing.method in IDEMPOTENT


async def forward(way: Way, ask: Ask, asking: Asking[T]) -> tuple[Lease, T]:
    """Ask, under the breaker and the deadline. Raises ``NotExecuted``, ``OutcomeUnknown`` or ``Rejected``.

    ``asking`` asks one instance; it raises what ``failures`` names.
    """
    permit = way.admit()
    began = time.monotonic()
    outcome = ABANDONED
    way.longest = max(way.longest, ask.deadline.remaining() - ANSWER_MARGIN)
    try:
        reached = await _in_time(way, ask, asking, began)
        outcome = FAILED if _is_no_use(reached[1]) else ANSWERED
    except (CallFailure, Unusable) as fault:
        outcome = _outcome_of(fault)
        if isinstance(fault, Unusable):
            log.warning("upstream.answer.unusable", guarded=way.service.name, route=way.route, reason=fault.reason)
        raise
    finally:
        way.settle(permit, outcome, seconds=taken(ask, began))
    return reached


def taken(ask: Ask, began: float) -> float:
    """Seconds that the service took. While a body comes, the service waits for the client: that is not its time."""
    if ask.upload is not None:
        began = max(began, ask.upload.ended_at)
    return max(0.0, time.monotonic() - began)


def had_its_share(way: Way, ask: Ask, began: float) -> bool:
    """Whether what was asked at ``began`` (monotonic seconds) had enough time until now to be blamed for silence."""
    waited = ask.upload.waited if ask.upload else 0.0
    return time.monotonic() - began - waited >= FAIR_SHARE * way.longest


def _outcome_of(fault: CallFailure | Unusable) -> str:
    match fault:
        case Unusable():
            return FAILED
        case Unreached():
            return UNREACHED
        case NotExecuted():
            return NOT_ASKED
        case Broken(blame=Blame.EDGE):
            return ABANDONED
        case _:
            return UNKNOWN


async def _in_time(way: Way, ask: Ask, asking: Asking[T], began: float) -> tuple[Lease, T]:
    try:
        async with asyncio.timeout(ask.deadline.remaining() - ANSWER_MARGIN):
            return await _twice_at_most(way, ask, asking)
    except TimeoutError:
        if ask.upload is not None and ask.upload.awaits_client:
            raise Rejected(
                "request.timeout", "The body did not arrive in time.", headers={"connection": "close"}
            ) from None
        blame = Blame.SERVICE if had_its_share(way, ask, began) else Blame.EDGE
        raise Broken("no answer came in time", blame=blame) from None


async def _twice_at_most(way: Way, ask: Ask, asking: Asking[T]) -> tuple[Lease, T]:
    way.service.budget.earn()
    lease = _place(way, ask)
    try:
        answer = await _ask(way, lease, ask, asking)
        other = _another(way, ask, None, lease.member) if _is_no_use(answer) else None
        if other is None:
            return lease, answer
        _let_go(answer)
        lease.release()
    except (CallFailure, Unusable) as fault:
        lease.release()
        other = _another(way, ask, fault, lease.member)
        if other is None:
            raise
    way.service.retries += 1
    await asyncio.sleep(way.dice.uniform(*RETRY_PAUSE))  # who is stopped here gives the place back by forgetting it
    return other, await _ask(way, other, ask, asking)


def _is_no_use(answer: object) -> bool:
    return getattr(answer, "status", 0) in NOT_WELL


def _let_go(answer: object) -> None:
    """Of an answer that is not passed on: its connection is kept only if the whole has come with the head."""
    if isinstance(answer, ClientResponse):
        answer.close()  # one that is at its end is not this answer's any more


def _place(way: Way, ask: Ask, but: Member | None = None) -> Lease:
    """A place at an instance. Raises ``NotExecuted``."""
    return way.pick(key=ask.key, named=ask.named, stays=ask.stays, but=but, holder=ask.holder)


def _another(way: Way, ask: Ask, fault: CallFailure | Unusable | None, but: Member) -> Lease | None:
    """A place at another instance for a second try, if there may be one."""
    has_time = ask.deadline.remaining() - ANSWER_MARGIN > RETRY_PAUSE[1]
    if not way.policy.retries or not has_time or not ask.may_repeat(fault):
        return None
    try:
        lease = _place(way, ask, but)
    except NotExecuted:
        return None
    if way.service.budget.spend():
        return lease
    lease.release()
    return None


async def _ask(way: Way, lease: Lease, ask: Ask, asking: Asking[T]) -> T:
    """Ask one instance, and note how it is. What ends for another reason says nothing of it.

    Who has begun to answer is judged by whoever passes that on: it may still break off.
    """
    began = time.monotonic()
    try:
        answer = await asking(lease.member.instance, ask.outgoing)
    except (CallFailure, Unusable):
        way.service.failed(lease.member)
        lease.release()
        raise
    except BaseException:
        lease.release()
        is_late = ask.deadline.remaining() <= ANSWER_MARGIN and not (ask.upload and ask.upload.awaits_client)
        if is_late and had_its_share(way, ask, began):
            way.service.failed(lease.member)
        raise
    if _is_no_use(answer):
        way.service.failed(lease.member)
    elif not isinstance(answer, ClientResponse):
        way.service.succeeded(lease.member)
    return answer
