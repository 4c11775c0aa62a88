"""Sends replies on a connection of their own: transient and unconfirmed, for a lost reply is an unknown outcome."""

from __future__ import annotations

from typing import Any

import structlog
from amqp.basic_message import Message

from shared.contracts import exchanges, headers
from shared.nameko_ext import wire
from shared.nameko_ext.link import Link, LinkDown, WriteFailed
from shared.nameko_ext.publishing import send

log = structlog.get_logger()

TRANSIENT = 1
REOPEN_SECONDS = 2.0


class Replies:
    """Keeps a connection and writes replies to it. A reply that cannot be sent is dropped, counted and logged."""

    def __init__(self, url: str, name: str) -> None:
        self._channel: Any = None
        self.link = Link(url, name, on_open=self._open)
        self.dropped = 0

    def send(self, address: wire.ReplyAddress, body: bytes, *, replayed: bool = False) -> None:
        """Write one reply; never raises for what the broker does."""
        for _ in range(2):
            try:
                self._write(address, body, replayed=replayed)
            except (LinkDown, WriteFailed):
                self.link.wait_open(REOPEN_SECONDS)
            else:
                return
        self.dropped += 1
        log.warning("rpc.reply_dropped", dropped=self.dropped)

    def _write(self, address: wire.ReplyAddress, body: bytes, *, replayed: bool) -> None:
        properties: dict[str, Any] = {"correlation_id": address.correlation_id} if address.correlation_id else {}
        message = Message(
            body,
            content_type=wire.CONTENT_TYPE,
            content_encoding="utf-8",
            delivery_mode=TRANSIENT,
            application_headers={headers.PREFIX + headers.REPLAYED: True} if replayed else {},
            **properties,
        )
        exchange = "" if address.reply_to.startswith(wire.DIRECT_REPLY) else exchanges.CALLS
        channel = self._channel
        self.link.write(
            lambda: send(channel, message, exchange=exchange, routing_key=address.reply_to, mandatory=False)
        )

    def _open(self, connection: Any) -> None:
        channel = connection.channel()
        channel.exchange_declare(exchanges.CALLS, "topic", durable=True, auto_delete=False)
        self._channel = channel
