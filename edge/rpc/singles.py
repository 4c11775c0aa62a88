"""Calls that travel alone, each in a message of its own: the only way to reach a stock Nameko service."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from edge.rpc.failures import ANSWER_MARGIN, Blame, OutcomeUnknown
from edge.rpc.wire import decode_reply, encode_call, properties_of

if TYPE_CHECKING:
    from aiormq.abc import DeliveredMessage

    from edge.rpc.calls import CallContext, RpcReply
    from edge.rpc.connection import Broker
    from edge.rpc.pending import Pending
    from shared.contracts.method import Method


class Singles:
    """Sends each call at once."""

    def __init__(self, *, broker: Broker, pending: Pending) -> None:
        self._broker = broker
        self._pending = pending

    async def call(self, method: Method, arguments: dict[str, Any], *, context: CallContext) -> RpcReply:
        """Raises ``RemoteRefusal``, ``NotExecuted`` or ``OutcomeUnknown``."""
        link = self._broker.link()
        with self._pending.place(changing=method.mutating) as (correlation_id, answer):
            properties = properties_of(method, context, correlation_id=correlation_id, reply_to=link.reply_to)
            patience = context.deadline.remaining() - ANSWER_MARGIN
            try:
                await link.publish(encode_call(arguments), method.routing_key, properties, patience=patience)
            except OutcomeUnknown:
                if not answer.done():
                    raise
            try:
                message = await _in_time(answer, context)
            except OutcomeUnknown:
                self._pending.give_up(correlation_id, method)
                raise
        return decode_reply(message.body, message.header.properties.headers)


async def _in_time(answer: asyncio.Future[DeliveredMessage], context: CallContext) -> DeliveredMessage:
    try:
        async with asyncio.timeout(max(0.0, context.deadline.remaining() - ANSWER_MARGIN)):
            return await answer
    except TimeoutError:
        raise OutcomeUnknown("no answer before the deadline", blame=Blame.SERVICE) from None
