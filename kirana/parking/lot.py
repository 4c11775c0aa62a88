"""Walks past parked messages: each is taken, looked at, and put back unless it has been dealt with."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from amqp.basic_message import Message
from amqp.exceptions import MessageNacked, NotFound

from kirana.parking.frames import raw_message, rewound
from kirana.parking.message import Parked
from kirana.parking.replaying import PERSISTENT
from kirana.parking.settling import Removal, give_back, wait_for
from kirana.parking.turn import ANSWER_SECONDS, PATIENCE_SECONDS, Address, Turn
from shared.contracts import parked as names

SILENCE_SECONDS = 2.0
MOST_AT_ONCE = 65_535  # as many as AMQP can count
BESIDE_PROPERTIES = 8 + 12  # in their frame: its own bytes, then class, weight and body size
MOST_RETURNS = 10
"""RabbitMQ 4 throws away what has come back to its queue twenty times, as looking at it makes it do."""


class NotTaken(Exception):
    """No queue took the message; its text says why. It stays parked."""


class Lot:
    """The parking queues of one broker. Use it as a context manager; it connects on entry."""

    def __init__(
        self, address: Address, *, patience: float = PATIENCE_SECONDS, on_wait: Callable[[], None] = lambda: None
    ) -> None:
        self._turn = Turn(address, patience=patience, on_wait=on_wait)
        self._returned: list[Any] = []

    def __enter__(self) -> Self:
        """Wait for our turn. Raises :class:`NotRunning`, :class:`Busy`, :class:`StackFault`."""
        self._turn.begin()
        with self._turn.told():
            self._out = self._turn.sending.channel()
            self._out.events["basic_return"].add(lambda fault, *_: self._returned.append(fault))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave; what is still held goes back by itself."""
        self._turn.end(politely=kind is None)

    def has(self, service: str) -> bool:
        """Whether this broker knows a parking queue of the service."""
        with self._turn.told(), self._turn.reading.channel() as channel:
            try:
                channel.queue_declare(names.parking_queue(service), passive=True)
            except NotFound:
                return False
        return True

    def visit(self, service: str, deal_with: Callable[[Parked], bool]) -> None:
        """Show ``deal_with`` each message that is there now, events before calls; it answers whether to remove it.

        Of each kind the oldest comes first.

        The others are put back, in their order as far as the broker can. If this is cut short, by an exception or a
        power failure, all that were not removed stay. Raises :class:`NotRunning` when the broker goes away.
        """
        with self._turn.told():
            for queue in names.parking_queues(service):
                self._visit(service, queue, deal_with)

    def _visit(self, service: str, queue: str, deal_with: Callable[[Parked], bool]) -> None:
        channel = self._turn.reading.channel()
        channel.auto_decode = False
        try:
            waiting = channel.queue_declare(queue, passive=True).message_count
        except NotFound:
            return
        kept: list[int] = []
        copied: list[int] = []
        remove = Removal(channel, queue)
        for message in self._each(channel, queue, waiting):
            parked = Parked(service, bytes(message.body or b""), message.properties, queue)
            if deal_with(parked):
                remove.one(message.delivery_tag)
            else:
                (copied if self._renewed(parked) else kept).append(message.delivery_tag)
        if copied:  # only now: before, it would have made room for the copies to come here as well
            remove.all(copied, kept)
        remove.finish()
        give_back(channel, kept)
        wait_for(channel, queue, len(kept) + len(copied))
        channel.close()

    def deliver(self, message: Message, queue: str) -> None:
        """Give the message to the queue and wait until it is safe there. Raises :class:`NotTaken`."""
        self._returned.clear()
        _check(message, self._turn.sending.frame_max)
        try:
            self._out.basic_publish(message, "", queue, mandatory=True, confirm_timeout=ANSWER_SECONDS)
        except MessageNacked:
            raise NotTaken("its queue is full") from None
        if self._returned:
            raise NotTaken("its queue is gone: the handler was renamed or removed")

    def _each(self, channel: Any, queue: str, count: int) -> Iterator[Any]:
        """As many messages as were there at the start: what is parked meanwhile may be what was just put back."""
        if not count:
            return
        arrived: deque[Any] = deque()
        channel.basic_qos(0, min(count, MOST_AT_ONCE), a_global=False)
        tag = channel.basic_consume(queue, callback=arrived.append)
        for _ in range(count):
            while not arrived:
                try:
                    self._turn.reading.drain_events(timeout=SILENCE_SECONDS)
                except TimeoutError:  # somebody else has taken the rest
                    channel.basic_cancel(tag)
                    return
            yield arrived.popleft()
            self._turn.reading.heartbeat_tick()
        channel.basic_cancel(tag)

    def _renewed(self, parked: Parked) -> bool:
        """Whether a copy as good as new has taken the place of one that came back often."""
        if parked.returns < MOST_RETURNS:
            return False
        raw = parked.raw_properties
        copy: Message = _copy(parked) if raw is None else raw_message(parked.body, rewound(raw))
        try:
            self.deliver(copy, parked.queue)
        except NotTaken:
            return False
        return True


def _check(message: Message, frame_max: int) -> None:
    """Nothing is written of what would end the connection, or cannot be. Raises :class:`NotTaken`."""
    try:
        size = len(message._serialize_properties())  # noqa: SLF001 - py-amqp has no other word for it
    except Exception:  # noqa: BLE001 - FrameSyntaxError, ValueError, RecursionError, … : that it was read says little
        raise NotTaken("its headers cannot be written again") from None
    if size > frame_max - BESIDE_PROPERTIES:
        raise NotTaken("its headers do not fit into a frame any more")


def _copy(parked: Parked) -> Message:
    """The message with all that was said of it, but not how often it was looked at."""
    properties = {name: value for name, value in parked.properties.items() if name != "application_headers"}
    summary = parked.summary
    headers = {name: value for name, value in parked.headers.items() if name != names.DELIVERY_COUNT}
    told = {names.FROM: summary.origin, names.AT: summary.parked_at, names.REASON: summary.reason}
    headers |= {name: text for name, text in told.items() if text}
    properties["delivery_mode"] = PERSISTENT
    return Message(parked.body, application_headers=headers, **properties)
