"""Speaks the wire protocol by hand, so that the tests see what really travels."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import amqp

from shared.contracts.refusals import StillRunning

EXCHANGE = "nameko-rpc"

LONG_ENOUGH = 60
"""Seconds until it is plain that nothing will come, on a starved machine, too; a test of speed looks at the clock."""


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

    @property
    def still_runs(self) -> bool:
        """Whether it says that the first run of the operation has not ended."""
        return self.body["error"] is not None and self.code == StillRunning.code


class NoReply(AssertionError):
    """Nothing came in time."""


class Caller:
    """One connection with a reply queue of its own."""

    def __init__(self, connection: amqp.Connection) -> None:
        self.connection = connection
        self.channel = connection.channel()
        self.channel.auto_decode = False
        self.channel.exchange_declare(EXCHANGE, "topic", durable=True, auto_delete=False)
        self.address = str(uuid.uuid4())
        self.queue = self.channel.queue_declare("", exclusive=True, auto_delete=True).queue
        self.channel.queue_bind(self.queue, EXCHANGE, self.address)
        self.channel.basic_consume(self.queue, no_ack=True, callback=self._on_reply)
        self.replies: dict[str, Reply] = {}
        self.frames: list[list[str]] = []
        self.taken: set[str] = set()
        self.returned: set[str] = set()

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

    def send_frame(self, service: str, calls: list[dict[str, Any]], **properties: Any) -> str:
        """Many calls in one message, as other languages would write it."""
        body = json.dumps({"calls": calls}).encode()
        return self.send(f"{service}.batch", body, **{"type": "kirana.calls", **properties})

    def call(self, key: str, *args: Any, headers: dict[str, Any] | None = None, **kwargs: Any) -> Reply:
        return self.wait(self.ask(key, *args, headers=headers, **kwargs))

    def wait(self, correlation_id: str, seconds: float = LONG_ENOUGH) -> Reply:
        give_up_at = time.monotonic() + seconds
        while correlation_id not in self.replies:
            remaining = give_up_at - time.monotonic()
            if remaining <= 0:
                raise NoReply(correlation_id)
            try:
                self.connection.drain_events(timeout=remaining)
            except TimeoutError:
                continue
        return self.replies.pop(correlation_id)

    def wait_for_all(self, correlation_ids: list[str]) -> list[Reply]:
        return [self.wait(correlation_id) for correlation_id in correlation_ids]

    def take(self, queue: str) -> amqp.Message | None:
        """One message out of a queue, or nothing."""
        message = self.channel.basic_get(queue)
        if message is not None:
            self.channel.basic_ack(message.delivery_tag)
        return message

    def depth(self, queue: str) -> int:
        return int(self.channel.queue_declare(queue, passive=True).message_count)

    def consumers(self, queue: str) -> int:
        return int(self.channel.queue_declare(queue, passive=True).consumer_count)

    def listen_until(self, is_enough: Callable[[], bool]) -> None:
        """Take in what comes until then."""
        give_up_at = time.monotonic() + LONG_ENOUGH
        while not is_enough():
            assert time.monotonic() < give_up_at, (self.frames, self.taken, self.returned)
            with suppress(TimeoutError):
                self.connection.drain_events(timeout=0.2)

    def return_address(self) -> None:
        """Ask for what expires to be sent back."""
        self.channel.exchange_declare("dlx.rpc", "headers", durable=True, auto_delete=False)
        arguments = {"x-match": "all", "kirana-return-to": self.address}
        self.channel.queue_bind(self.queue, "dlx.rpc", "", arguments=arguments)

    def _on_reply(self, message: amqp.Message) -> None:
        kind, correlation_id = message.properties.get("type"), message.properties.get("correlation_id")
        if kind == "kirana.taken":
            self.taken.add(correlation_id)
        elif kind == "kirana.replies":
            replies = json.loads(message.body)["replies"]
            self.frames.append([reply["id"] for reply in replies])
            self.replies |= {reply["id"]: Reply(reply, message.properties) for reply in replies}
        elif "x-death" in message.properties.get("application_headers", {}):
            self.returned.add(correlation_id)
        else:
            self.replies[correlation_id] = Reply(json.loads(message.body), message.properties)
