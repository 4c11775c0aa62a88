"""A service played by the test: it takes what is sent to it, and answers as the test says, or not at all."""

from __future__ import annotations

import json
import uuid
from contextlib import closing, contextmanager
from typing import Any

import amqp

from tests.builders.waiting import eventually
from tests.contract.caller import LONG_ENOUGH

EXCHANGE = "nameko-rpc"


class Played:
    """A queue with a service's name, and one who listens to it but has both hands full: what is sent waits there."""

    def __init__(self, channel: amqp.Channel, name: str, *, listens: bool = True) -> None:
        self.name = name
        self.queue = f"rpc-{name}"
        self._channel = channel
        channel.queue_declare(self.queue, durable=True, auto_delete=False)
        channel.queue_bind(self.queue, EXCHANGE, f"{name}.*")
        if listens:
            self.listen()

    def listen(self) -> None:
        """Consume, and begin with a message that is never done with."""
        in_hand: list[amqp.Message] = []
        self._channel.basic_publish(amqp.Message("in hand"), "", self.queue)
        self._channel.basic_qos(0, 1, a_global=False)
        self._tag = self._channel.basic_consume(self.queue, callback=in_hand.append)
        while not in_hand:
            self._channel.connection.drain_events(timeout=LONG_ENOUGH)

    def go(self) -> None:
        """Listen no more. The queue stays, and whatever is in it."""
        self._channel.basic_cancel(self._tag)

    def take(self) -> amqp.Message:
        """What was sent, for good."""
        return eventually(self.look, what="a message")

    def look(self) -> amqp.Message | None:
        """The same, if anything was sent."""
        return self._channel.basic_get(self.queue, no_ack=True)

    def take_up(self) -> amqp.Message:
        """What was sent, not acknowledged: for :meth:`give_back`."""
        return eventually(lambda: self._channel.basic_get(self.queue), what="a message")

    def give_back(self, message: amqp.Message) -> None:
        self._channel.basic_reject(message.delivery_tag, requeue=True)

    def is_idle(self) -> bool:
        """Whether nothing was sent."""
        return self._channel.basic_get(self.queue) is None

    def answer(self, asked: amqp.Message, body: Any, **properties: Any) -> None:
        """Send the body of an answer to a message as a whole."""
        self._send(asked, json.dumps(body), **properties)

    def answer_calls(self, asked: amqp.Message, *replies: dict[str, Any]) -> None:
        """Answer some calls of a frame."""
        self.answer(asked, {"replies": list(replies)}, type="kirana.replies")

    def announce(self, asked: amqp.Message) -> None:
        """Say that its changes may be under way."""
        self._send(asked, "", type="kirana.taken")

    def _send(self, asked: amqp.Message, body: str, **properties: Any) -> None:
        correlation_id = asked.properties["correlation_id"]
        message = amqp.Message(body, content_type="application/json", correlation_id=correlation_id, **properties)
        self._channel.basic_publish(message, EXCHANGE, asked.properties["reply_to"])

    def leave(self) -> None:
        self._channel.queue_delete(self.queue)


def calls_of(message: amqp.Message) -> list[dict[str, Any]]:
    """The calls of a frame."""
    assert message.properties["type"] == "kirana.calls"
    return json.loads(message.body)["calls"]


def echoed(text: str) -> dict[str, Any]:
    """A good answer."""
    return {"text": text, "user_id": None, "request_id": "", "call_id_stack": []}


@contextmanager
def a_played_service(rabbit):
    """One that nobody has called before, on a connection of its own; nobody takes what is sent to it but who asks."""
    with closing(rabbit.connect()) as connection:
        played = Played(connection.channel(), f"played-{uuid.uuid4().hex[:8]}")
        yield played
        played.leave()
