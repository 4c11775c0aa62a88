"""Asks other services: one link per container, where every question has a deadline and exactly one fate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import structlog
from amqp.basic_message import Message
from eventlet import Timeout
from eventlet.event import Event
from nameko import config
from nameko.extensions import SharedExtension

from shared.contracts import exchanges
from shared.contracts.refusals import OutcomeUnknown, Unavailable
from shared.nameko_ext import wire
from shared.nameko_ext.link import Link, LinkDown, WriteFailed
from shared.nameko_ext.publishing import CONFIRMED, LOST, Confirmation, Confirms
from shared.nameko_ext.replies import TRANSIENT
from shared.resilience.deadline import Deadline
from shared.values.identifiers import new_id

log = structlog.get_logger()

OPENING_SECONDS = 1.0


@dataclass(frozen=True)
class Request:
    """A question as it is written."""

    routing_key: str
    body: bytes
    headers: dict[str, Any]
    deadline: Deadline


class Question(Confirmation):
    """Waits for a reply; that the broker has the request is not yet news, that it has not is."""

    def __init__(self) -> None:
        super().__init__()
        self._news = Event()

    def settle(self, fate: str) -> None:
        """Returned, refused or lost."""
        if fate != CONFIRMED:
            self._tell((fate, b""))

    def answer(self, body: bytes) -> None:
        """The reply came."""
        self._tell((CONFIRMED, body))

    def wait_for_news(self, seconds: float) -> tuple[str, bytes]:
        """The fate, and the reply's body if there is one; silence counts as lost."""
        with Timeout(max(seconds, 0.0), exception=False):
            news: tuple[str, bytes] = self._news.wait()
            return news
        return LOST, b""

    def _tell(self, news: tuple[str, bytes]) -> None:
        if not self._news.ready():
            self._news.send(news)


class Asking(SharedExtension):
    """The reply queue and the publishing channel of a container."""

    def setup(self) -> None:
        """Prepare the link."""
        service: str = self.container.service_name
        self._confirms = Confirms()
        self._questions: dict[str, Question] = {}
        self._reply_to = ""
        self._service = service
        self.link = Link(
            config["AMQP_URI"],
            f"{config.get('INSTANCE', service)} asking",
            on_open=self._open,
            on_lost=self._lose_all,
        )

    def start(self) -> None:
        """Begin to connect."""
        self.container.spawn_managed_thread(self.link.run, identifier=self.link.name)

    def stop(self) -> None:
        """Leave the broker."""
        self.link.close()

    def ask(self, request: Request) -> bytes:
        """The reply's body.

        Raises :class:`Unavailable` when the request did not go out, :class:`OutcomeUnknown` when no reply came.
        """
        seconds = request.deadline.remaining().total_seconds()
        if seconds <= 0 or not self.link.wait_open(min(OPENING_SECONDS, seconds)):
            raise Unavailable(retry_after=1)
        question = Question()
        correlation_id = new_id()
        self._questions[correlation_id] = question
        try:
            self._write(request, question, correlation_id)
            fate, body = question.wait_for_news(request.deadline.remaining().total_seconds())
        except LinkDown as fault:
            raise Unavailable(retry_after=1) from fault
        except WriteFailed as fault:
            raise OutcomeUnknown from fault
        finally:
            self._questions.pop(correlation_id, None)
            self._confirms.discard(correlation_id)
        if fate == LOST:
            raise OutcomeUnknown
        if fate != CONFIRMED:
            raise Unavailable(retry_after=1)
        return body

    def _write(self, request: Request, question: Question, correlation_id: str) -> None:
        remaining_ms = int(request.deadline.remaining().total_seconds() * 1000)
        message = Message(
            request.body,
            content_type=wire.CONTENT_TYPE,
            content_encoding="utf-8",
            delivery_mode=TRANSIENT,
            message_id=correlation_id,
            correlation_id=correlation_id,
            reply_to=self._reply_to,
            expiration=str(max(1, remaining_ms)),
            application_headers=request.headers,
        )
        self._confirms.publish(self.link, message, question, exchange=exchanges.CALLS, routing_key=request.routing_key)

    def _open(self, connection: Any) -> None:
        channel = connection.channel()
        channel.auto_decode = False
        channel.exchange_declare(exchanges.CALLS, "topic", durable=True, auto_delete=False)
        address = new_id()
        queue = f"rpc.reply-{self._service}-{address}"
        channel.queue_declare(queue, exclusive=True, auto_delete=True)
        channel.queue_bind(queue, exchanges.CALLS, address)
        channel.basic_consume(queue, no_ack=True, callback=self._on_reply)
        self._confirms.attach(channel)
        self._reply_to = address

    def _on_reply(self, message: Any) -> None:
        question = self._questions.get(message.properties.get("correlation_id", ""))
        if question is None:
            log.info("rpc.late_reply")
        else:
            question.answer(bytes(message.body))

    def _lose_all(self) -> None:
        self._confirms.forget()
        for question in list(self._questions.values()):
            question.settle(LOST)
