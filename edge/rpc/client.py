"""Calls a service: one answer, one refusal, or an honest word about what is known."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import structlog

from edge.rpc.failures import Blame, CallFailure, NotExecuted, OutcomeUnknown, RemoteRefusal
from edge.rpc.retries import RetryBudget
from edge.rpc.wire import decode_reply, encode_call, properties_of

if TYPE_CHECKING:
    from aiormq.abc import DeliveredMessage

    from edge.rpc.calls import CallContext, RpcReply
    from edge.rpc.connection import Broker
    from edge.rpc.consumers import Consumers
    from edge.rpc.pending import Pending
    from shared.contracts.method import Method
    from shared.resilience.backoff import Dice

log = structlog.get_logger()

ANSWER_MARGIN = 0.05
"""Seconds before the deadline at which waiting ends, so that the edge still has time to answer."""

SHORTEST_RETRY = 0.5
RETRY_PAUSE = (0.05, 0.2)


class RpcClient:
    """The one client of a worker: every call of every request shares its link and its reply queue."""

    def __init__(self, *, broker: Broker, pending: Pending, consumers: Consumers, dice: Dice | None = None) -> None:
        self._broker = broker
        self._pending = pending
        self._consumers = consumers
        self._budget = RetryBudget()
        self._dice = dice or random.SystemRandom()
        self.counts: Counter[str] = Counter()

    async def call(self, method: Method, arguments: dict[str, Any], *, context: CallContext) -> RpcReply:
        """Call ``method`` with ``arguments`` as its fields.

        Raises ``RemoteRefusal`` (the service said no), ``NotExecuted`` or ``OutcomeUnknown``. Repeats once, inside
        the deadline and the retry budget, what may be repeated: reads, and changes that surely did not happen.
        """
        self._budget.earn()
        try:
            return await self._attempt(method, arguments, context)
        except CallFailure as failure:
            self.counts[type(failure).__name__] += 1
            if not self._may_repeat(method, failure, context):
                raise
        self.counts["retries"] += 1
        await asyncio.sleep(self._dice.uniform(*RETRY_PAUSE))
        return await self._attempt(method, arguments, context)

    def _may_repeat(self, method: Method, failure: CallFailure, context: CallContext) -> bool:
        return (
            failure.blame is not Blame.EDGE
            and (isinstance(failure, NotExecuted) or not method.mutating)
            and context.deadline.remaining() > SHORTEST_RETRY
            and self._budget.spend()
        )

    async def _attempt(self, method: Method, arguments: dict[str, Any], context: CallContext) -> RpcReply:
        remaining = context.deadline.remaining() - ANSWER_MARGIN
        if remaining <= 0:
            raise NotExecuted("the deadline passed before the call was sent")
        link = self._broker.link()
        if self._consumers.absent(method.service):
            raise NotExecuted("no instance of the service is listening")
        with self._pending.place() as (correlation_id, answer):
            properties = properties_of(method, context, correlation_id=correlation_id, reply_to=link.reply_to)
            try:
                await link.publish(encode_call(arguments), method.routing_key, properties, patience=remaining)
            except OutcomeUnknown:
                if not answer.done():
                    raise
            return self._read(method, await _in_time(answer, context))

    def _read(self, method: Method, message: DeliveredMessage) -> RpcReply:
        try:
            return decode_reply(message.body, message.header.properties.headers)
        except RemoteRefusal as refusal:
            if refusal.remote_type:  # no refusal of the shop, but a fault in the service
                self.counts["faults"] += 1
                log.warning("rpc.call.fault", method=method.routing_key, remote_type=refusal.remote_type)
            raise


async def _in_time(answer: asyncio.Future[DeliveredMessage], context: CallContext) -> DeliveredMessage:
    try:
        async with asyncio.timeout(max(0.0, context.deadline.remaining() - ANSWER_MARGIN)):
            return await answer
    except TimeoutError:
        raise OutcomeUnknown("no answer before the deadline", blame=Blame.SERVICE) from None
