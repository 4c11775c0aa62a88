"""Looks at the broker's queues over a connection of its own: it may wait there, and no call waits behind it."""

from __future__ import annotations

import contextlib
from typing import Any

from amqp.exceptions import NotFound
from eventlet import Timeout
from kombu.connection import Connection

HEARTBEAT_SECONDS = 10
CONNECT_SECONDS = 3
OPENING_SECONDS = 5
ASKING_SECONDS = 2.0
LEAVING_SECONDS = 1.0


class BrokerIsSilent(Exception):
    """It neither takes nor gives bytes in time."""


class QueueSight:
    """Looking needs no rights. A broker out of memory or disk stops only who publishes: it answers here even then."""

    def __init__(self, url: str, name: str) -> None:
        """Connect. Raises whatever keeps it from that."""
        parameters: Any = Connection(  # type: ignore[no-untyped-call]  # kombu carries few types
            url,
            heartbeat=HEARTBEAT_SECONDS,  # each look is a sign of life, and they come more often
            connect_timeout=CONNECT_SECONDS,
            transport_options={"client_properties": {"connection_name": name}},
        )
        with Timeout(OPENING_SECONDS, BrokerIsSilent()):
            self._connection = parameters.transport.establish_connection()
            try:
                self._channel = self._connection.channel()
            except BaseException:
                self._connection.collect()
                raise

    def consumers(self, queue: str) -> int:
        """How many there are now; none, too, where there is no queue. Raises :class:`BrokerIsSilent` and others."""
        with Timeout(ASKING_SECONDS, BrokerIsSilent()):
            try:
                return int(self._channel.queue_declare(queue, passive=True).consumer_count)
            except NotFound:  # the broker has closed the channel for it, and py-amqp has opened it again
                return 0

    def leave(self) -> None:
        """Say goodbye, if there is still somebody to hear it."""
        with contextlib.suppress(Exception), Timeout(LEAVING_SECONDS, exception=False):
            self._connection.close()
        with contextlib.suppress(Exception):
            self._connection.collect()
