"""Publishing that tells the truth: a message is confirmed, returned, refused, or its fate is unknown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from amqp import spec
from amqp.basic_message import Message
from eventlet import Timeout, sleep
from eventlet.event import Event
from eventlet.semaphore import Semaphore

from shared.nameko_ext.link import Link, LinkDown, WriteFailed

CONFIRM_SECONDS = 3.0
ALARM_SECONDS = 3.0
LOOK_SECONDS = 0.1
PUBLISH_SIGNATURE = "Bssbb"

CONFIRMED = "confirmed"
UNROUTABLE = "unroutable"
NACKED = "nacked"
LOST = "lost"
SILENT = "silent"


class NotConfirmed(Exception):
    """The broker did not say that it has the message: it may have it nevertheless."""


class Blocked(LinkDown):
    """The broker has asked to be left alone: nothing was written."""


class Confirmation:
    """The fate of one message, known once the broker speaks."""

    def __init__(self) -> None:
        self._fate = Event()

    def settle(self, fate: str) -> None:
        """The first word counts: a return comes before its ack."""
        if not self._fate.ready():
            self._fate.send(fate)

    def wait(self, seconds: float = CONFIRM_SECONDS) -> str:
        """One of the four fates; silence counts as lost."""
        said = self.word(seconds)
        return LOST if said == SILENT else said

    def word(self, seconds: float = CONFIRM_SECONDS) -> str:
        """One of the four fates, or :data:`SILENT` when nothing was said: then something still may be."""
        with Timeout(seconds, exception=False):
            return str(self._fate.wait())
        return SILENT


class Confirms:
    """Pairs the publishes of one channel in confirm mode with what the broker says of them."""

    def __init__(self) -> None:
        self._writing = Semaphore(1)
        self._channel: Any = None
        self._tag = 0
        self._pending: dict[int, tuple[Confirmation, str]] = {}
        self._by_message_id: dict[str, Confirmation] = {}

    def attach(self, channel: Any) -> None:
        """Start over on a fresh channel; call it while the link opens."""
        channel.confirm_select()
        channel.events["basic_ack"].add(self._on_ack)
        channel.events["basic_nack"].add(self._on_nack)
        channel.events["basic_return"].add(self._on_return)
        self._channel, self._tag = channel, 0

    def forget(self) -> None:
        """The channel is gone, and with it every answer that is still due."""
        pending, self._pending = self._pending, {}
        self._by_message_id.clear()
        self._channel = None
        for confirmation, _ in pending.values():
            confirmation.settle(LOST)

    def publish(
        self, link: Link, message: Message, confirmation: Confirmation, *, exchange: str, routing_key: str
    ) -> None:
        """Write it, mandatory. Raises :class:`LinkDown` when nothing was written, else :class:`WriteFailed`."""
        with self._writing:
            channel = self._channel
            if channel is None:
                raise LinkDown(link.name)
            self._tag += 1
            message_id = str(message.properties.get("message_id", ""))
            self._pending[self._tag] = (confirmation, message_id)
            if message_id:
                self._by_message_id[message_id] = confirmation
            link.write(lambda: send(channel, message, exchange=exchange, routing_key=routing_key, mandatory=True))

    def discard(self, message_id: str) -> None:
        """Nobody waits for the return of this message any more."""
        self._by_message_id.pop(message_id, None)

    def _settle(self, tag: int, *, multiple: bool, fate: str) -> None:
        tags = [due for due in self._pending if due <= tag] if multiple else [tag]
        for due in tags:
            confirmation, message_id = self._pending.pop(due, (None, ""))
            if confirmation is not None:
                confirmation.settle(fate)
                if self._by_message_id.get(message_id) is confirmation:  # its return would have come before
                    self.discard(message_id)

    def _on_ack(self, delivery_tag: int, multiple: bool) -> None:  # noqa: FBT001  # py-amqp's callback
        self._settle(delivery_tag, multiple=multiple, fate=CONFIRMED)

    def _on_nack(self, delivery_tag: int, multiple: bool) -> None:  # noqa: FBT001  # py-amqp's callback
        self._settle(delivery_tag, multiple=multiple, fate=NACKED)

    def _on_return(self, fault: Any, exchange: str, routing_key: str, message: Any) -> None:
        del fault, exchange, routing_key
        confirmation = self._by_message_id.pop(message.properties.get("message_id", ""), None)
        if confirmation is not None:
            confirmation.settle(UNROUTABLE)


def send(channel: Any, message: Message, *, exchange: str, routing_key: str, mandatory: bool) -> None:
    """Write the frames and nothing else: py-amqp's ``basic_publish`` would read, which is the link's business."""
    channel.send_method(spec.Basic.Publish, PUBLISH_SIGNATURE, (0, exchange, routing_key, mandatory, False), message)


class Publisher:
    """A link of its own for messages that must arrive: events, retries, parked messages."""

    def __init__(self, url: str, name: str, *, declare: Callable[[Any], None] = lambda _: None) -> None:
        self._declare = declare
        self._confirms = Confirms()
        self.is_blocked = False
        """Whether the broker has said that it is out of memory or disk: it reads nothing until that is over."""
        self.link = Link(url, name, on_open=self._open, on_lost=self._lose)

    def publish(self, message: Message, *, exchange: str, routing_key: str) -> Confirmation:
        """Write it; see :meth:`Confirms.publish`. Raises :class:`Blocked`: what is tried again would come again."""
        if self.is_blocked:
            raise Blocked("the broker is out of memory or disk")
        confirmation = Confirmation()
        self._confirms.publish(self.link, message, confirmation, exchange=exchange, routing_key=routing_key)
        return confirmation

    def deliver(
        self, message: Message, *, exchange: str, routing_key: str, is_patient: Callable[[], bool] = lambda: False
    ) -> None:
        """Write it and wait until a queue has it. Raises :class:`NotConfirmed`.

        In an alarm it waits as long as for a confirm, or while ``is_patient`` for its end: what goes back to its queue
        too often is parked by the broker. Whose patience ended before has written nothing.
        """
        if is_patient():
            self._wait_while_blocked(is_patient)
            if not is_patient():
                raise NotConfirmed("nobody waits for the end of the alarm any more")
        else:
            with Timeout(ALARM_SECONDS, exception=False):
                self._wait_while_blocked(lambda: True)
        try:
            confirmation = self.publish(message, exchange=exchange, routing_key=routing_key)
        except (LinkDown, WriteFailed) as fault:
            raise NotConfirmed(str(fault)) from fault
        fate = self._word_on(confirmation, is_patient)
        if fate != CONFIRMED:
            raise NotConfirmed(LOST if fate == SILENT else fate)

    def _wait_while_blocked(self, is_patient: Callable[[], bool]) -> None:
        while self.is_blocked and is_patient():
            sleep(LOOK_SECONDS)

    def _word_on(self, confirmation: Confirmation, is_patient: Callable[[], bool]) -> str:
        """In an alarm the broker has read nothing yet: sent again, the message would come twice."""
        is_excused = True
        said = SILENT
        while is_excused and said == SILENT:
            is_excused = self.is_blocked
            said = confirmation.word()
            is_excused = (is_excused or self.is_blocked) and is_patient()
        return said

    def _open(self, connection: Any) -> None:
        connection.on_blocked = lambda _reason: self._block(is_blocked=True)
        connection.on_unblocked = lambda: self._block(is_blocked=False)
        channel = connection.channel()
        self._declare(channel)
        self._confirms.attach(channel)

    def _lose(self) -> None:
        self._block(is_blocked=False)
        self._confirms.forget()

    def _block(self, *, is_blocked: bool) -> None:
        self.is_blocked = is_blocked
