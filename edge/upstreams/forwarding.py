"""Asks an instance, and where that is safe and there is time, once another one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import structlog

from edge.discovery.table import Instance
from edge.problems import Rejected
from edge.rpc.failures import ANSWER_MARGIN, CallFailure, NotExecuted
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

RETRY_PAUSE = (0.05, 0.2)
"""Seconds, by lot: of many whose instance failed at once, not all are to reach the next one at once, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request and what decides where it goes: see :meth:`edge.upstreams.way.Way.pick`."""

    outgoing: Outgoing
    deadline: Deadline
    key: bytes = b""
    named: str | None = None
    stays: bytes = b""

    @property
    def upload(self) -> Upload | None:
        """The body, if it is passed on while it comes."""
        return self.outgoing.body if isinstance(self.outgoing.body, Upload) else None

    def may_repeat(self, fault: CallFailure | Unusable) -> bool:
        """Whether another instance may be asked: nothing happened, or it may happen twice; and the body is whole."""
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
    try:
        reached = await _in_time(way, ask, asking)
        outcome = ANSWERED
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


def _outcome_of(fault: CallFailure | Unusable) -> str:
    match fault:
        case Unusable():
            return FAILED
        case Unreached():
            return UNREACHED
        case NotExecuted():
            return NOT_ASKED
        case _:
            return UNKNOWN


async def _in_time(way: Way, ask: Ask, asking: Asking[T]) -> tuple[Lease, T]:
    try:
        async with asyncio.timeout(ask.deadline.remaining() - ANSWER_MARGIN):
            return await _twice_at_most(way, ask, asking)
    except TimeoutError:
        if ask.upload is not None and ask.upload.awaits_client:
            raise Rejected(
                "request.timeout", "The body did not arrive in time.", headers={"connection": "close"}
            ) from None
        raise Broken("no answer came in time") from None


async def _twice_at_most(way: Way, ask: Ask, asking: Asking[T]) -> tuple[Lease, T]:
    way.service.budget.earn()
    lease = way.pick(key=ask.key, named=ask.named, stays=ask.stays)
    try:
        return lease, await _ask(way, lease, ask, asking)
    except (CallFailure, Unusable) as fault:
        lease.release()
        other = _another(way, ask, fault, lease.member)
        if other is None:
            raise
    way.service.retries += 1
    await asyncio.sleep(way.dice.uniform(*RETRY_PAUSE))  # who is stopped here gives the place back by forgetting it
    return other, await _ask(way, other, ask, asking)


def _another(way: Way, ask: Ask, fault: CallFailure | Unusable, but: Member) -> Lease | None:
    """A place at another instance for a second try, if there may be one."""
    has_time = ask.deadline.remaining() - ANSWER_MARGIN > RETRY_PAUSE[1]
    if not way.policy.retries or not has_time or not ask.may_repeat(fault):
        return None
    try:
        lease = way.pick(key=ask.key, named=ask.named, stays=ask.stays, but=but)
    except NotExecuted:
        return None
    if way.service.budget.spend():
        return lease
    lease.release()
    return None


async def _ask(way: Way, lease: Lease, ask: Ask, asking: Asking[T]) -> T:
    """Ask one instance, and note how it is. What ends for another reason says nothing of it."""
    try:
        answer = await asking(lease.member.instance, ask.outgoing)
    except (CallFailure, Unusable):
        way.service.failed(lease.member)
        lease.release()
        raise
    except BaseException:
        lease.release()
        if ask.deadline.remaining() <= ANSWER_MARGIN and not (ask.upload and ask.upload.awaits_client):
            way.service.failed(lease.member)
        raise
    if getattr(answer, "status", 0) in NOT_WELL:
        way.service.failed(lease.member)
    else:
        way.service.succeeded(lease.member)
    return answer
