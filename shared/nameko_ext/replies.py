"""Answers leave on the connection that brought the calls: what is ready in one turn of the hub leaves in one frame."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import eventlet
import structlog
from amqp.basic_message import Message
from msgspec import Raw

from shared.contracts import exchanges, frames, headers
from shared.contracts.refusals import Internal
from shared.nameko_ext import wire
from shared.nameko_ext.link import Link, LinkDown, WriteFailed
from shared.nameko_ext.outcomes import Outcome, refused
from shared.nameko_ext.publishing import LOST, Confirmation, Confirms, send
from shared.values.identifiers import new_id

if TYPE_CHECKING:
    from shared.nameko_ext.consuming import Delivery

log = structlog.get_logger()

TRANSIENT = 1
LARGEST_ANSWER = 3 * 2**20
REPLAYED = headers.PREFIX + headers.REPLAYED


@dataclass
class Mail:
    """What waits to be written: lone answers, answers to be framed by address, and messages to be acknowledged."""

    lone: list[tuple[wire.ReplyAddress, bytes, bool]] = field(default_factory=list)
    framed: dict[str, list[tuple[frames.FramedReply, int]]] = field(default_factory=dict)
    settled: list[Delivery] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.lone) + sum(map(len, self.framed.values()))

    def is_empty(self) -> bool:
        """Whether there is nothing to write, not even an acknowledgement."""
        return not (self.lone or self.framed or self.settled)


class Replies:
    """Transient and unconfirmed, for a lost reply is an unknown outcome.

    Nobody waits for the writing. When the connection breaks, what is not written is dropped and counted in ``counts``:
    the acknowledgements are lost with it, so the broker brings the calls again, here or elsewhere.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._channel: Any = None
        self._confirms = Confirms()
        self._mail = Mail()
        self._is_writing = False
        self.counts: Counter[str] = Counter()
        self.frame_sizes: Counter[int] = Counter()

    def open(self, connection: Any, channel: Any) -> None:
        """Use a fresh connection of the link's; call it while the link opens.

        The answers take the channel that brought the calls: a broker does what comes on one channel in order, so none
        is taken for done whose answer it has not.
        """
        self._channel = channel
        self._confirms.attach(connection.channel())

    def lost(self) -> None:
        """The connection is gone; call it when the link is lost."""
        self._confirms.forget()

    def post(self, address: wire.ReplyAddress, outcome: Outcome, *, replayed: bool = False) -> None:
        """Answer a lone call."""
        self._mail.lone.append((address, _bounded(outcome).as_body(), replayed))
        self._write_soon()

    def post_framed(self, reply_to: str, call_id: str, outcome: Outcome, *, replayed: bool = False) -> None:
        """Answer one call of a frame, together with whatever else is ready for the same caller."""
        bounded = _bounded(outcome)
        reply = frames.FramedReply(call_id, Raw(bounded.result), Raw(bounded.error), replayed)
        self._mail.framed.setdefault(reply_to, []).append((reply, len(bounded.result) + len(bounded.error)))
        self._write_soon()

    def settle(self, delivery: Delivery) -> None:
        """Acknowledge a message whose answers were all posted."""
        self._mail.settled.append(delivery)
        self._write_soon()

    def announce(self, address: wire.ReplyAddress) -> Confirmation:
        """Tell the caller that a change of this frame may be under way. It may begin once the broker has the notice.

        A notice that was merely written could be lost with the connection, and the caller would deny the change.
        """
        told = Confirmation()
        properties: dict[str, Any] = {"correlation_id": address.correlation_id} if address.correlation_id else {}
        message = _message(b"", type=frames.TAKEN, message_id=new_id(), **properties)
        try:
            self._confirms.publish(self._link, message, told, exchange=exchanges.CALLS, routing_key=address.reply_to)
        except (LinkDown, WriteFailed):
            told.settle(LOST)
        return told

    def give_up_link(self) -> None:
        """It does not confirm: everything on it goes back to the broker."""
        self._link.drop()

    def flush(self) -> None:
        """Wait until everything posted is written, or dropped."""
        while self._is_writing:
            eventlet.sleep(0)

    def _write_soon(self) -> None:
        if not self._is_writing:
            self._is_writing = True
            eventlet.spawn_n(self._write_all)

    def _write_all(self) -> None:
        """What is posted while the socket is slow leaves together in the next round."""
        try:
            while not self._mail.is_empty():
                mail, self._mail = self._mail, Mail()
                self._write(mail)
        finally:
            self._is_writing = False

    def _write(self, mail: Mail) -> None:
        try:
            self._link.write(lambda: self._send_all(mail))
        except (LinkDown, WriteFailed):
            self.counts["dropped"] += len(mail)
            log.warning("rpc.replies_dropped", replies=len(mail))

    def _send_all(self, mail: Mail) -> None:
        for address, body, replayed in mail.lone:
            known: dict[str, Any] = {"correlation_id": address.correlation_id} if address.correlation_id else {}
            self._send(body, address.reply_to, {REPLAYED: True} if replayed else {}, **known)
        for reply_to, replies in mail.framed.items():
            for group in frames.packed([reply for reply, _ in replies], [size for _, size in replies]):
                self.frame_sizes[len(group)] += 1
                self._send(frames.write_replies(group), reply_to, type=frames.REPLIES)
        for delivery in mail.settled:
            delivery.ack_now()

    def _send(self, body: bytes, reply_to: str, marks: dict[str, Any] | None = None, **properties: Any) -> None:
        message = _message(body, marks, **properties)
        send(self._channel, message, exchange=exchanges.CALLS, routing_key=reply_to, mandatory=False)


def _message(body: bytes, marks: dict[str, Any] | None = None, **properties: Any) -> Message:
    return Message(
        body,
        content_type=wire.CONTENT_TYPE,
        content_encoding="utf-8",
        delivery_mode=TRANSIENT,
        application_headers=marks or {},
        **properties,
    )


def _bounded(outcome: Outcome) -> Outcome:
    """A broker closes the channel for a message that is too large; so the caller hears of a fault instead."""
    if len(outcome.result) + len(outcome.error) <= LARGEST_ANSWER:
        return outcome
    log.error("rpc.answer_too_large", bytes=len(outcome.result) + len(outcome.error))
    return refused(Internal())
