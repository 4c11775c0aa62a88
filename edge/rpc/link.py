"""One life of a connection to the broker: from handshake to loss, with its channels and its reply queue."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import aiormq
import structlog
from aiormq.exceptions import (
    AMQPError,
    ChannelAccessRefused,
    ChannelInvalidStateError,
    ChannelNotFoundEntity,
    DeliveryError,
    PublishError,
)
from yarl import URL

from edge.rpc.bulkhead import Bulkhead
from edge.rpc.failures import Blame, CallFailure, Forbidden, NotExecuted, OutcomeUnknown
from edge.rpc.receiving import ForgivingConnection
from shared.contracts import exchanges

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiormq.abc import DeliveredMessage
    from pamqp.commands import Basic

log = structlog.get_logger()

HEARTBEAT_SECONDS = 10
CONFIRM_SECONDS = 1.0
UNCONFIRMED = 128
"""Calls sent but not confirmed. Others wait unsent: what a stalled broker never got has surely not happened."""

UNCONFIRMED_WAITING = 10_000
SILENCE_SECONDS = 2.0
"""A broker that confirms nothing for so long while confirms are awaited is as good as gone."""

LINK_ERRORS = (AMQPError, OSError, RuntimeError, TimeoutError)


class Link:
    """Made by :meth:`open`; of no use once :attr:`lost` is set."""

    def __init__(self, connection: aiormq.Connection, on_reply: Callable[[DeliveredMessage], None]) -> None:
        self.connection = connection
        self.reply_to = str(uuid.uuid4())
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._on_reply = on_reply
        self._requests: aiormq.Channel | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._silent_since: float | None = None
        self._idle_since = 0.0
        self._unconfirmed = Bulkhead(limit=UNCONFIRMED, queue=UNCONFIRMED_WAITING)
        self._out: Counter[str] = Counter()
        self._crowded: set[str] = set()

    @classmethod
    async def open(cls, url: str, *, name: str, on_reply: Callable[[DeliveredMessage], None]) -> Link:
        """Connect, and listen on a queue that vanishes with the connection. Raises one of ``LINK_ERRORS``."""
        target = URL(url).update_query(heartbeat=HEARTBEAT_SECONDS, name=name)
        connection = ForgivingConnection(target)
        link = cls(connection, on_reply)
        try:
            await connection.connect()
            await link._listen()
            await link._open_requests()
        except BaseException:
            await link.close()
            raise
        connection.closing.add_done_callback(lambda _: link.lose("the connection was closed"))
        return link

    @property
    def is_blocked(self) -> bool:
        """Whether the broker has asked publishers to stop (its memory or disk runs low)."""
        step = self.connection.ready()
        try:
            step.send(None)
        except StopIteration:
            return False
        step.close()
        return True

    def lose(self, reason: str) -> None:
        """Give the link up: whoever watches :attr:`lost` makes a new one."""
        if not self.lost.done():
            self.lost.set_result(reason)

    async def publish(self, body: bytes, routing_key: str, properties: Basic.Properties, *, patience: float) -> None:
        """Send one call and wait until the broker has it.

        Raises ``NotExecuted`` when the broker surely has not, ``OutcomeUnknown`` when nobody knows. ``patience`` is
        in seconds: to wait for one's turn, and, at most one second of it, for the confirm.
        """
        async with self._unconfirmed.place(patience=patience):
            self._enter(routing_key)
            try:
                await self._publish(body, routing_key, properties, patience=min(CONFIRM_SECONDS, patience))
            finally:
                self._leave(routing_key)

    def _enter(self, routing_key: str) -> None:
        if self._silent_since is not None and not self._out:
            self._silent_since += time.monotonic() - self._idle_since  # nothing was awaited, so nobody was silent
        self._out[routing_key] += 1
        if self._out[routing_key] > 1:
            self._crowded.add(routing_key)

    def _leave(self, routing_key: str) -> None:
        self._out[routing_key] -= 1
        if not self._out[routing_key]:
            del self._out[routing_key]
            self._crowded.discard(routing_key)
            if not self._out:
                self._idle_since = time.monotonic()

    async def _publish(self, body: bytes, routing_key: str, properties: Basic.Properties, *, patience: float) -> None:
        if self.lost.done():
            raise NotExecuted("the link was lost before the call was sent", blame=Blame.BROKER)
        if self._requests is None:
            raise NotExecuted("the request channel is being reopened", blame=Blame.BROKER)
        if self.is_blocked:
            raise NotExecuted("the broker is out of memory or disk", 5, blame=Blame.BROKER)
        try:
            await self._requests.basic_publish(
                body,
                exchange=exchanges.CALLS,
                routing_key=routing_key,
                properties=properties,
                mandatory=True,
                timeout=patience,
                wait=False,
            )
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
            raise OutcomeUnknown("the link was given up before the confirm", blame=Blame.BROKER) from None
        except LINK_ERRORS as fault:
            if isinstance(fault, TimeoutError):
                self._note_silence()
            raise _meaning_of(fault, routing_key, is_alone=routing_key not in self._crowded) from None
        self._silent_since = None

    async def close(self) -> None:
        """Close politely, but not for longer than two seconds."""
        self.lose("closed")
        if self._renewal:
            self._renewal.cancel()
        with suppress(*LINK_ERRORS):
            async with asyncio.timeout(2):
                await self.connection.close()

    async def _listen(self) -> None:
        await self._look_for(exchanges.CALLS, "topic")
        replies = await self.connection.channel(publisher_confirms=False, frame_buffer_size=1000)
        queue = (await replies.queue_declare("", exclusive=True, auto_delete=True)).queue or ""
        await replies.queue_bind(queue, exchanges.CALLS, self.reply_to)
        replies.on_consumer_cancel_callbacks.add(lambda _: self.lose("the reply queue was deleted"))
        await replies.basic_consume(queue, self._receive, no_ack=True, exclusive=True)
        replies.closing.add_done_callback(lambda _: self.lose("the reply channel was closed"))
        await self._ask_for_returns(queue)

    async def _receive(self, message: DeliveredMessage) -> None:
        self._on_reply(message)

    async def _ask_for_returns(self, queue: str) -> None:
        """Have expired calls brought back. Where that is not allowed, they end in silence and at their deadline."""
        try:
            await self._look_for(exchanges.EXPIRED, "headers")
            channel = await self.connection.channel(publisher_confirms=False)
            await channel.queue_bind(queue, exchanges.EXPIRED, "", arguments=exchanges.returned_to(self.reply_to))
            await channel.close()
        except ChannelAccessRefused as fault:
            log.warning("rpc.returns.forbidden", reason=str(fault))

    async def _look_for(self, exchange: str, kind: str) -> None:
        """See that the exchange is there; looking needs no rights, so declaring is left for when it is not."""
        channel = await self.connection.channel(publisher_confirms=False)
        try:
            await channel.exchange_declare(exchange, exchange_type=kind, passive=True)
        except ChannelNotFoundEntity:
            channel = await self.connection.channel(publisher_confirms=False)
            await channel.exchange_declare(exchange, exchange_type=kind, durable=True)
        await channel.close()

    async def _open_requests(self) -> None:
        channel = await self.connection.channel(publisher_confirms=True, frame_buffer_size=1000)
        channel.closing.add_done_callback(lambda _: self._renew_requests())
        self._requests = cast("aiormq.Channel", channel)

    def _renew_requests(self) -> None:
        """The broker closes a channel on which something forbidden was sent; the rest of the link lives on."""
        self._requests = None
        if not self.lost.done() and self.connection.is_opened:
            self._renewal = asyncio.get_running_loop().create_task(self._reopen_requests())

    async def _reopen_requests(self) -> None:
        log.warning("rpc.channel.reopening")
        try:
            async with asyncio.timeout(5):
                await self._open_requests()
        except LINK_ERRORS:
            self.lose("the request channel could not be reopened")

    def _note_silence(self) -> None:
        now = time.monotonic()
        if self._silent_since is None:
            self._silent_since = now
        elif now - self._silent_since > SILENCE_SECONDS:
            self.lose("the broker is silent")


def _meaning_of(fault: Exception, routing_key: str, *, is_alone: bool) -> CallFailure:
    """What is known of a call whose publishing failed. ``is_alone``: no other with its routing key was out with it."""
    match fault:
        case PublishError():
            return NotExecuted("no queue takes this call", 5, blame=Blame.SERVICE)
        case DeliveryError():
            return NotExecuted("the service's queue is full", 2, blame=Blame.SERVICE)
        case ChannelInvalidStateError():
            return NotExecuted("the request channel has closed", blame=Blame.BROKER)
        case TimeoutError():
            return OutcomeUnknown("the broker did not confirm in time", blame=Blame.BROKER)
        case ChannelAccessRefused() if is_alone and f"'{routing_key}'" in str(fault):
            # The broker names the forbidden topic, not the call; others on the same channel share its fate, unnamed.
            return Forbidden("the broker forbids this call to the edge", 60)
    return OutcomeUnknown("the link broke before the confirm", blame=Blame.BROKER)


def _is_cancelled() -> bool:
    """Whether this task was really cancelled: aiormq also raises ``CancelledError`` when it closes itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
