"""Calls a service: one answer, one refusal, or an honest word about what is known."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import structlog

from edge.rpc.failures import ANSWER_MARGIN, CallFailure, NotExecuted, OutcomeUnknown, RemoteRefusal
from edge.rpc.lane import POLICY, FramesForbidden, FramesNotSpoken, Lane
from edge.rpc.retries import RetryBudget
from edge.rpc.singles import Singles
from edge.rpc.stock import StockServices
from shared.contracts.refusals import CODES_OF_NO_ANSWER
from shared.resilience.presence import NOBODY_LISTENS

if TYPE_CHECKING:
    from edge.rpc.calls import CallContext, RpcReply
    from edge.rpc.connection import Broker
    from edge.rpc.consumers import Consumers
    from edge.rpc.pending import Pending
    from shared.contracts.method import Method
    from shared.resilience.backoff import Dice
    from shared.resilience.coalescing import CoalescingPolicy

log = structlog.get_logger()

SHORTEST_RETRY = 0.5
RETRY_PAUSE = (0.05, 0.2)


class RpcClient:
    """The one client of a worker: every call of every request shares its link and its reply queue.

    ``lanes=None`` sends every call in a message of its own, as is done to services that turn out to know no frames.
    """

    def __init__(
        self,
        *,
        broker: Broker,
        pending: Pending,
        consumers: Consumers,
        lanes: CoalescingPolicy | None = POLICY,
        dice: Dice | None = None,
    ) -> None:
        self._broker = broker
        self._pending = pending
        self._consumers = consumers
        self._policy = lanes
        self._singles = Singles(broker=broker, pending=pending)
        self._budget = RetryBudget()
        self._dice = dice or random.SystemRandom()
        self.stock = StockServices()
        self.lanes: dict[str, Lane] = {}
        self.counts: Counter[str] = Counter()

    async def call(self, method: Method, arguments: dict[str, Any], *, context: CallContext) -> RpcReply:
        """Call ``method`` with ``arguments`` as its fields.

        Raises ``RemoteRefusal`` (the service said no), ``NotExecuted`` or ``OutcomeUnknown``. Repeats once, inside
        the deadline and the retry budget, what may be repeated: reads, changes that surely did not happen, and those
        that a client gave a key, of which nobody knows: what both runs do is one effect with one answer.
        """
        self._budget.earn()
        try:
            return await self._once(method, arguments, context)
        except CallFailure as failure:
            if not self._may_repeat(method, failure, context):
                raise
            unknown = failure if method.mutating and isinstance(failure, OutcomeUnknown) else None
        self.counts["retries"] += 1
        await asyncio.sleep(self._dice.uniform(*RETRY_PAUSE))
        try:
            return await self._once(method, arguments, context)
        except RemoteRefusal as refusal:
            if unknown and refusal.code in CODES_OF_NO_ANSWER:
                raise unknown from refusal
            raise
        except CallFailure as failure:
            if unknown:
                raise unknown from failure
            raise
        finally:
            del unknown  # it holds this frame once it is raised: only the collector breaks such a ring

    async def _once(self, method: Method, arguments: dict[str, Any], context: CallContext) -> RpcReply:
        """One try; a second one only where the first showed that the service knows no frames."""
        while True:
            try:
                return await self._way(method.service, context).call(method, arguments, context=context)
            except FramesNotSpoken as fault:
                self.stock.note(method.service, is_forbidden=isinstance(fault, FramesForbidden))
            except RemoteRefusal as refusal:
                self._note_fault(method, refusal)
                raise
            except CallFailure as failure:
                self.counts[type(failure).__name__] += 1
                raise

    async def close(self, *, drain: float) -> None:
        """Take no more calls; wait ``drain`` seconds for those that are out."""
        await asyncio.gather(*(lane.close(drain=drain) for lane in self.lanes.values()))

    def _may_repeat(self, method: Method, failure: CallFailure, context: CallContext) -> bool:
        return (
            failure.is_repeatable
            and (isinstance(failure, NotExecuted) or not method.mutating or self._has_one_effect(method, context))
            and context.deadline.remaining() > SHORTEST_RETRY
            and self._budget.spend()
        )

    def _has_one_effect(self, method: Method, context: CallContext) -> bool:
        """Whether two runs are as good as one: a client gave a key, and the service keeps the answer under it."""
        is_ours = self._policy is not None and not self.stock.may_include(method.service)
        return context.fingerprint is not None and method.keeps_answer and is_ours

    def _way(self, service: str, context: CallContext) -> Lane | Singles:
        """Raises ``NotExecuted`` when there is none."""
        if context.deadline.remaining() <= ANSWER_MARGIN:
            raise NotExecuted("the deadline passed before the call was sent")
        self._broker.link()  # says at once that there is none
        if self._consumers.absent(service):
            raise NotExecuted(NOBODY_LISTENS)
        if self._policy is None or self.stock.are_known_to_include(service):
            return self._singles
        lane = self.lanes.get(service)
        if lane is None:
            lane = Lane(service, broker=self._broker, pending=self._pending, policy=self._policy)
            self.lanes[service] = lane
        return lane

    def _note_fault(self, method: Method, refusal: RemoteRefusal) -> None:
        if refusal.remote_type:  # no refusal of the shop, but a fault in the service
            self.counts["faults"] += 1
            log.warning("rpc.call.fault", method=method.routing_key, remote_type=refusal.remote_type)
