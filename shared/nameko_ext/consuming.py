"""Taking messages from one queue over as many connections as it takes, and settling each exactly once."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import structlog

from shared.nameko_ext.link import Link, LinkDown, WriteFailed

log = structlog.get_logger()


class Delivery:
    """A message in our hands. Settling it when its connection has gone does nothing: the broker took it back."""

    __slots__ = ("_channel", "_link", "_settled", "_tag", "body", "properties", "redelivered", "routing_key")

    def __init__(self, link: Link, channel: Any, message: Any) -> None:
        self._link = link
        self._channel = channel
        self._tag: int = message.delivery_info["delivery_tag"]
        self._settled = False
        self.redelivered = bool(message.delivery_info["redelivered"])
        self.routing_key: str = message.delivery_info["routing_key"]
        self.properties: dict[str, Any] = message.properties
        self.body = message.body

    @property
    def is_lost(self) -> bool:
        """Whether its connection has gone: the broker gives it to somebody else, or to us again."""
        return self._channel.connection is None

    def ack(self) -> None:
        """Done with it, for good."""
        self._settle(lambda: self._channel.basic_ack(self._tag))

    def ack_now(self) -> None:
        """The same, from within a ``write`` of the link that brought it."""
        if not self._settled and not self.is_lost:
            self._settled = True
            self._channel.basic_ack(self._tag)

    def requeue(self) -> None:
        """Let another replica have it."""
        self._settle(lambda: self._channel.basic_reject(self._tag, requeue=True))

    def _settle(self, frames: Callable[[], Any]) -> None:
        if self._settled:
            return
        self._settled = True
        if self.is_lost:
            return
        try:
            self._link.write(frames)
        except (LinkDown, WriteFailed) as fault:
            log.info("message.not_settled", reason=str(fault))


class Consumer:
    """Consumes one queue. ``on_delivery`` runs in the reading greenlet: it must neither block nor raise.

    ``on_open`` is given each new connection, and its channel that consumes, before it does; ``on_lost`` hears of its
    loss.
    """

    def __init__(  # noqa: PLR0913  # keyword collaborators
        self,
        url: str,
        queue: str,
        *,
        prefetch: int,
        declare: Callable[[Any], None],
        on_delivery: Callable[[Delivery], None],
        on_open: Callable[[Any, Any], None] = lambda *_: None,
        on_lost: Callable[[], None] = lambda: None,
        name: str = "",
    ) -> None:
        self._queue = queue
        self._prefetch = prefetch
        self._declare = declare
        self._on_delivery = on_delivery
        self._on_open = on_open
        self._cancelled = False
        self._paused = False
        self._channel: Any = None
        self._tag = uuid.uuid4().hex
        self.link = Link(url, name or queue, on_open=self._open, on_lost=on_lost)

    @property
    def is_consuming(self) -> bool:
        """Whether messages can arrive, unless by an operator's wish."""
        return self.link.is_open and not self._cancelled

    def cancel(self) -> None:
        """Take no more, from a later connection neither; what arrives on the way is given back.

        The connection stays for what is still running. Doing it again does nothing.
        """
        if self._cancelled:
            return
        self._cancelled = True
        if not self._paused:
            self._tell(lambda channel: channel.basic_cancel(self._tag, nowait=True))

    def pause(self) -> None:
        """Take no more until :meth:`resume`, from a later connection neither; what arrives on the way is done."""
        if self._paused:
            return
        self._paused = True
        if not self._cancelled:
            self._tell(lambda channel: channel.basic_cancel(self._tag, nowait=True))

    def resume(self) -> None:
        """Take messages again. Doing it again does nothing."""
        if not self._paused:
            return
        self._paused = False
        if not self._cancelled:
            self._tell(lambda channel: self._consume(channel, nowait=True))

    def _tell(self, frames: Callable[[Any], Any]) -> None:
        """What cannot be written is made good by the next connection, which knows what is wanted."""
        channel = self._channel
        if channel is None or not self.link.is_open:
            return
        try:
            self.link.write(lambda: frames(channel))
        except (LinkDown, WriteFailed) as fault:
            log.info("consumer.not_told", reason=str(fault))

    def _open(self, connection: Any) -> None:
        channel = connection.channel()
        channel.auto_decode = False
        self._channel = channel
        self._on_open(connection, channel)
        if self._cancelled:
            return
        self._declare(channel)
        channel.basic_qos(0, self._prefetch, a_global=False)
        if self._paused:
            return
        self._consume(channel)
        if self._paused:  # since it was asked, when there was nobody to tell yet
            channel.basic_cancel(self._tag, nowait=True)

    def _consume(self, channel: Any, *, nowait: bool = False) -> None:
        def receive(message: Any) -> None:
            self._deliver(channel, message)

        channel.callbacks[self._tag] = receive  # without an answer to wait for, a message may be there before we return
        channel.basic_consume(self._queue, self._tag, nowait=nowait, callback=receive)

    def _deliver(self, channel: Any, message: Any) -> None:
        delivery = Delivery(self.link, channel, message)
        if self._cancelled:
            delivery.requeue()
        else:
            self._on_delivery(delivery)
