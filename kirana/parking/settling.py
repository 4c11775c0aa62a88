"""Settles what was held: puts it back in order, or removes it and makes sure that the queue knows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from amqp import spec

RETURN_SECONDS = 10.0
MOST_IN_FLIGHT = 16
MOST_IN_ORDER = 32

_ALL = 0


def give_back(channel: Any, tags: Sequence[int]) -> None:
    """All that is still held, in order: of a queue with a delivery limit, more than 32 in one frame lose theirs."""
    for last in (*tags[MOST_IN_ORDER - 1 :: MOST_IN_ORDER], _ALL):  # all means: and what arrived after the last
        channel.send_method(spec.Basic.Nack, "Lbb", (last, True, True))  # py-amqp returns only one by one


def wait_for(channel: Any, queue: str, count: int) -> None:
    """Until so many can be taken again: whoever looks next expects them."""
    give_up_at = time.monotonic() + RETURN_SECONDS
    while channel.queue_declare(queue, passive=True).message_count < count and time.monotonic() < give_up_at:
        time.sleep(0.01)


class Removal:
    """Acknowledges, and makes sure that the queue knows of it.

    The broker's side of a channel holds acknowledgements back while 32 are on their way, and forgets them when it
    closes: what was replayed would be parked again. A get is answered only after all that was sent before it.
    """

    def __init__(self, channel: Any, queue: str) -> None:
        self._channel = channel
        self._queue = queue
        self._in_flight = 0

    def one(self, tag: int) -> None:
        """Remove a message."""
        self._channel.basic_ack(tag)
        self._in_flight += 1
        if self._in_flight >= MOST_IN_FLIGHT:
            self.finish()

    def all(self, tags: Sequence[int], kept: Sequence[int]) -> None:
        """These, in one frame if none that is kept lies between."""
        if not kept or tags[-1] < kept[0]:
            self._channel.basic_ack(tags[-1], multiple=True)
            return
        for tag in tags:
            self.one(tag)

    def finish(self) -> None:
        """Wait for those that are on their way. To keep the order, before anything is given back."""
        if not self._in_flight:
            return
        self._in_flight = 0
        message = self._channel.basic_get(self._queue)
        if message is not None:
            self._channel.basic_reject(message.delivery_tag, requeue=True)
