"""Speaks the wire protocol by hand, so that the tests see what really travels."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from typing import Any

import amqp

EXCHANGE = "nameko-rpc"


@dataclass(frozen=True)
class Reply:
    body: dict[str, Any]
    properties: dict[str, Any]

    @property
    def result(self) -> Any:
        assert self.body["error"] is None, self.body
        return self.body["result"]

    @property
    def code(self) -> str:
        return str(self.body["error"]["exc_args"][0])


class Caller:
    """One connection with a reply queue of its own."""

    def __init__(self, connection: amqp.Connection) -> None:
        self.connection = connection
        self.channel = connection.channel()
        self.channel.auto_decode = False
        self.channel.exchange_declare(EXCHANGE, "topic", durable=True, auto_delete=False)
        self.address = str(uuid.uuid4())
        queue = self.channel.queue_declare("", exclusive=True, auto_delete=True).queue
        self.channel.queue_bind(queue, EXCHANGE, self.address)
        self.channel.basic_consume(queue, no_ack=True, callback=self._on_reply)
        self.replies: dict[str, Reply] = {}

    def send(self, key: str, body: bytes, *, headers: dict[Any, Any] | None = None, **properties: Any) -> str:
        """Publish anything; properties default to what stock Nameko sends, ``None`` leaves one out."""
        correlation_id = str(uuid.uuid4())
        known = {
            "content_type": "application/json",
            "content_encoding": "utf-8",
            "reply_to": self.address,
            "correlation_id": correlation_id,
            **properties,
        }
        message = amqp.Message(
            body,
            application_headers=headers or {},
            **{name: value for name, value in known.items() if value is not None},
        )
        self.channel.basic_publish(message, EXCHANGE, key)
        return correlation_id

    def ask(self, key: str, *args: Any, headers: dict[str, Any] | None = None, **kwargs: Any) -> str:
        return self.send(key, json.dumps({"args": args, "kwargs": kwargs}).encode(), headers=headers)

    def call(self, key: str, *args: Any, headers: dict[str, Any] | None = None, **kwargs: Any) -> Reply:
        return self.wait(self.ask(key, *args, headers=headers, **kwargs))

    def wait(self, correlation_id: str, seconds: float = 10) -> Reply:
        give_up_at = time.monotonic() + seconds
        while correlation_id not in self.replies:
            remaining = give_up_at - time.monotonic()
            assert remaining > 0, "no reply"
            try:
                self.connection.drain_events(timeout=remaining)
            except TimeoutError:
                continue
        return self.replies.pop(correlation_id)

    def wait_for_all(self, correlation_ids: list[str], seconds: float = 20) -> list[Reply]:
        return [self.wait(correlation_id, seconds) for correlation_id in correlation_ids]

    def take(self, queue: str) -> amqp.Message | None:
        """One message out of a queue, or nothing."""
        message = self.channel.basic_get(queue)
        if message is not None:
            self.channel.basic_ack(message.delivery_tag)
        return message

    def depth(self, queue: str) -> int:
        return int(self.channel.queue_declare(queue, passive=True).message_count)

    def _on_reply(self, message: amqp.Message) -> None:
        self.replies[message.properties["correlation_id"]] = Reply(json.loads(message.body), message.properties)
