"""A broker that delivers every frame twice, the second time at a moment drawn by lot."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from random import Random
from typing import Self

import amqp

from tests.builders.rabbitmq import Rabbit

EXCHANGE, KEY = "nameko-rpc", "demo.batch"


class Doubling:
    """A context manager. It hears of every frame that is sent, and sends it again up to ``longest`` seconds later."""

    def __init__(self, broker: Rabbit, seed: float, *, longest: float) -> None:
        self.doubled = 0
        self._broker = broker
        self._chance = Random(seed)
        self._longest = longest
        self._heard: set[str] = set()
        self._due: list[tuple[float, amqp.Message]] = []
        self._listens = threading.Event()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listens.wait(60)
        return self

    def __exit__(self, *_fault: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        with closing(self._broker.connect()) as connection:
            channel = connection.channel()
            queue = channel.queue_declare("", exclusive=True).queue
            channel.queue_bind(queue, EXCHANGE, KEY)
            channel.basic_consume(queue, no_ack=True, callback=self._hear)
            self._listens.set()
            while not self._is_over.is_set():
                try:
                    connection.drain_events(timeout=0.01)
                except TimeoutError:
                    self._send_what_is_due(channel)

    def _hear(self, message: amqp.Message) -> None:
        """Its own are heard, too."""
        frame_id = f"{message.properties['reply_to']} {message.properties['correlation_id']}"
        if frame_id not in self._heard:
            self._heard.add(frame_id)
            self._due.append((time.monotonic() + self._chance.uniform(0, self._longest), message))

    def _send_what_is_due(self, channel: amqp.Channel) -> None:
        for entry in [entry for entry in self._due if entry[0] <= time.monotonic()]:
            self._due.remove(entry)
            channel.basic_publish(copy_of(entry[1]), EXCHANGE, KEY)
            self.doubled += 1


def copy_of(message: amqp.Message) -> amqp.Message:
    """The same message, to be published once more."""
    properties = {**message.properties, "application_headers": dict(message.headers)}
    return amqp.Message(bytes(message.body) if isinstance(message.body, memoryview) else message.body, **properties)
