"""Asks other services: one link per container, and to each service a lane with a breaker before it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import structlog
from amqp.basic_message import Message
from amqp.exceptions import NotFound
from nameko import config
from nameko.extensions import SharedExtension

from shared.contracts import exchanges, frames, headers
from shared.nameko_ext import wire
from shared.nameko_ext.failures import Blame, NobodyKnows, NotExecuted
from shared.nameko_ext.flight import Flight, Question
from shared.nameko_ext.guard import Guard
from shared.nameko_ext.lane import Lane
from shared.nameko_ext.link import Link, LinkDown, WriteFailed
from shared.nameko_ext.listeners import Listeners
from shared.nameko_ext.pending import Pending
from shared.nameko_ext.publishing import Confirms
from shared.nameko_ext.replies import TRANSIENT
from shared.nameko_ext.sight import QueueSight
from shared.tracing import recording
from shared.tracing.framing import framed
from shared.values.identifiers import new_id

log = structlog.get_logger()

OPENING_SECONDS = 1.0
"""So long, at most, a call waits for the first link. For one that was lost it does not: it would hold its worker."""


class Asking(SharedExtension):
    """The reply queue and the publishing channel of a container, for the lanes to all services that it calls."""

    def setup(self) -> None:
        """Prepare the link."""
        service: str = self.container.service_name
        self._service = service
        self._confirms = Confirms()
        self._pending = Pending()
        self._reply_to = ""
        self._is_blocked = False
        self.lanes: dict[str, Lane] = {}
        self.guards: dict[str, Guard] = {}
        url, instance = config["AMQP_URI"], config.get("INSTANCE", service)
        self.link = Link(url, f"{instance} asking", on_open=self._open, on_lost=self._lose_all)
        self._listeners = Listeners(
            lambda: QueueSight(url, f"{instance} looking"),
            on_absence=lambda called: self.guards[called].lost(),
            on_return=lambda called: self.guards[called].wake(),
        )

    def start(self) -> None:
        """Begin to connect."""
        self.container.spawn_managed_thread(self.link.run, identifier=self.link.name)
        self._looking = self.container.spawn_managed_thread(self._listeners.run, identifier="looking")

    def stop(self) -> None:
        """Leave the broker."""
        for lane in self.lanes.values():
            lane.close()
        self._looking.kill()
        self.link.close()

    @property
    def late_replies(self) -> int:
        """Answers for which nobody waited any more."""
        return self._pending.counts["unclaimed"]

    @property
    def expired_messages(self) -> int:
        """Those that came back because nobody took them in time."""
        return self._pending.counts["expired"]

    @property
    def links(self) -> dict[str, bool]:
        """Whether each is open, by what it is for. One for looking at queues is there only while somebody calls."""
        looking = self._listeners.sees
        return {"asking": self.link.is_open} | ({} if looking is None else {"looking": looking})

    def ask(self, service: str, question: Question) -> frames.FramedReply:
        """The answer, unread. Raises a ``CallFailure``."""
        lane = self.lanes.get(service)
        if lane is None:
            lane = self.lanes[service] = Lane(service, write=self._writer_to(service), pending=self._pending)
            self.guards[service] = Guard(service)
        self._listeners.heed(service, patience=question.until - time.monotonic())
        patience = question.until - time.monotonic()
        return self.guards[service].call(lambda: self._ask(lane, question), patience=patience)

    def _ask(self, lane: Lane, question: Question) -> frames.FramedReply:
        patience = question.until - time.monotonic()
        if not self.link.wait_for_first(max(0.0, min(OPENING_SECONDS, patience))):
            raise NotExecuted("there is no link to the broker", blame=Blame.BROKER)
        return lane.call(question)

    def _writer_to(self, service: str) -> Callable[[Flight], None]:
        return lambda flight: self._write(flight, f"{service}.{flight.method}")

    def _write(self, flight: Flight, routing_key: str) -> None:
        if self._is_blocked:
            raise NotExecuted("the broker is out of memory or disk", 5, blame=Blame.BROKER)
        reply_to = self._reply_to
        marks = {"type": flight.kind} if flight.kind else {}
        message = Message(
            flight.body(),
            content_type=wire.CONTENT_TYPE,
            content_encoding="utf-8",
            delivery_mode=TRANSIENT,
            message_id=flight.id,
            correlation_id=flight.id,
            reply_to=reply_to,
            expiration=frames.expiration_of(flight.patience()),
            application_headers={**flight.headers(), headers.RETURN_TO: reply_to},
            **marks,
        )
        try:
            with framed(flight.callers() if recording.active else (), routing_key, flight.id):
                self._confirms.publish(self.link, message, flight, exchange=exchanges.CALLS, routing_key=routing_key)
        except LinkDown:
            raise NotExecuted("there is no link to the broker", blame=Blame.BROKER) from None
        except WriteFailed:
            raise NobodyKnows("the link broke while the call was written", blame=Blame.BROKER) from None
        if reply_to != self._reply_to:
            raise NobodyKnows("the link was renewed before the call was written", blame=Blame.BROKER)

    def _open(self, connection: Any) -> None:
        self._block(is_blocked=False)
        connection.on_blocked = lambda _reason: self._block(is_blocked=True)
        connection.on_unblocked = lambda: self._block(is_blocked=False)
        _look_for(connection, exchanges.CALLS, "topic")
        _look_for(connection, exchanges.EXPIRED, "headers")
        channel = connection.channel()
        channel.auto_decode = False
        address = new_id()
        queue = f"rpc.reply-{self._service}-{address}"
        channel.queue_declare(queue, exclusive=True, auto_delete=True)
        channel.queue_bind(queue, exchanges.CALLS, address)
        channel.queue_bind(queue, exchanges.EXPIRED, "", arguments=exchanges.returned_to(address))
        channel.basic_consume(queue, no_ack=True, callback=self._on_message)
        self._confirms.attach(channel)
        self._reply_to = address

    def _block(self, *, is_blocked: bool) -> None:
        self._is_blocked = is_blocked

    def _on_message(self, message: Any) -> None:
        """Nothing that one service answers may cut the link to all of them."""
        try:
            self._pending.resolve(message.properties, bytes(message.body or b""))  # py-amqp: "" when there is none
        except Exception:
            log.exception("rpc.reply.unreadable")

    def _lose_all(self) -> None:
        self._confirms.forget()
        self._pending.lose_all()


def _look_for(connection: Any, exchange: str, kind: str) -> None:
    """See that the exchange is there; looking needs no rights, so declaring is left for when it is not."""
    channel = connection.channel()
    try:
        channel.exchange_declare(exchange, kind, passive=True)
    except NotFound:
        channel = connection.channel()
        channel.exchange_declare(exchange, kind, durable=True, auto_delete=False)
    channel.close()
