"""The broker as one service's container sees it: retries and parking, shared by all its doors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from amqp.basic_message import Message
from amqp.serialization import dumps
from eventlet import GreenPool
from nameko import config
from nameko.extensions import SharedExtension

from shared.contracts import parked
from shared.contracts.exchanges import calls_queue
from shared.metrics.counting import parked_from
from shared.nameko_ext import topology
from shared.nameko_ext.consuming import Delivery
from shared.nameko_ext.link import Link
from shared.nameko_ext.publishing import UNROUTABLE, NotConfirmed, Publisher
from shared.values.identifiers import new_id

log = structlog.get_logger()

PERSISTENT = 2
LONGEST_REASON = 500
KEPT_PROPERTIES = ("content_type", "content_encoding", "correlation_id", "reply_to")
LARGEST_KEPT_HEADER = 4096
MOST_HEADER_BYTES = 64 * 1024
"""Of all headers that a copy keeps: half of a frame as RabbitMQ takes it (``frame_max``, 131,072 bytes by default),
for the properties of a message share one, and a broker closes the connection for a larger."""


class Broker(SharedExtension):
    """The link for what must arrive. Opening it never waits: the broker may come up later."""

    def __init__(self) -> None:
        self._tended: list[Link] = []

    def setup(self) -> None:
        """Prepare the link."""
        service: str = self.container.service_name
        self.url: str = config["AMQP_URI"]
        self.instance: str = config.get("INSTANCE", service)
        self.service = service
        parked_from(service, calls_queue(service))
        self.publisher = Publisher(
            self.url,
            f"{self.instance} publisher",
            declare=lambda channel: topology.declare_parking(channel, service),
        )

    def start(self) -> None:
        """Begin to connect."""
        self.tend(self.publisher.link)

    def stop(self) -> None:
        """Leave the broker, on every link at once."""
        for _ in GreenPool().imap(Link.close, self._tended):
            pass

    def tend(self, link: Link) -> None:
        """Keep this link open until the container has drained."""
        self._tended.append(link)
        self.container.spawn_managed_thread(link.run, identifier=link.name)

    def park(
        self,
        delivery: Delivery,
        *,
        reason: str,
        origin: str,
        body: Any = None,
        is_patient: Callable[[], bool] = lambda: False,
    ) -> None:
        """Put a message, or this ``body`` of it, aside for a person to look at. Raises :class:`NotConfirmed`.

        ``origin`` is the queue that it came from: calls and events are kept apart. While ``is_patient``, it waits for
        the end of an alarm.
        """
        properties = delivery.properties
        told = {
            parked.REASON: reason[:LONGEST_REASON],
            parked.FROM: origin,
            parked.KEY: delivery.routing_key,
            parked.AT: datetime.now(UTC).isoformat(),
        }
        kept = {
            name: value
            for name, value in (properties.get("application_headers") or {}).items()
            if isinstance(name, str) and isinstance(value, (str, bool, int)) and _is_small(value) and name not in told
        }
        message = message_like(properties, delivery.body if body is None else body, told | kept)
        self._deliver_parked(message, parked.parking_key(self.service, origin), is_patient)
        parked_from(self.service, origin)()
        log.warning("message.parked", reason=reason[:LONGEST_REASON], origin=origin)

    def _deliver_parked(self, message: Message, key: str, is_patient: Callable[[], bool]) -> None:
        """Among the events where calls have no queue yet: this process may be newer than the broker's definitions."""
        try:
            self.publisher.deliver(message, exchange=parked.EXCHANGE, routing_key=key, is_patient=is_patient)
        except NotConfirmed as fault:
            if fault.args != (UNROUTABLE,) or key == self.service:
                raise
            self.publisher.deliver(message, exchange=parked.EXCHANGE, routing_key=self.service, is_patient=is_patient)

    def try_park(self, delivery: Delivery, *, reason: str, **how: Any) -> bool:
        """Park it as :meth:`park` does; gives whether that worked."""
        try:
            self.park(delivery, reason=reason, **how)
        except NotConfirmed as fault:
            log.warning("message.not_parked", reason=reason[:LONGEST_REASON], fault=str(fault))
            return False
        return True


def message_like(properties: Mapping[str, Any], body: Any, headers: Mapping[str, Any]) -> Message:
    """A persistent copy with other headers, as many as fit, and an id of its own when it had none."""
    kept = {name: properties[name] for name in KEPT_PROPERTIES if properties.get(name) is not None}
    return Message(
        body or b"",  # py-amqp has an empty text for none, and would encode it as the message calls itself
        delivery_mode=PERSISTENT,
        message_id=properties.get("message_id") or new_id(),
        application_headers=_fitting(headers),
        **kept,
    )


def _fitting(headers: Mapping[str, Any]) -> dict[str, Any]:
    """The first, until they fill :data:`MOST_HEADER_BYTES`, and none that cannot be written again."""
    kept, room = {}, MOST_HEADER_BYTES
    for name, value in headers.items():
        try:
            room -= len(dumps("F", [{name: value}]))
        except Exception as fault:  # noqa: BLE001  # inside of the link's writing it would cost the connection
            log.info("message.header_left_out", reason=type(fault).__name__)
            continue
        if room < 0:
            break
        kept[name] = value
    return kept


def _is_small(value: str | int) -> bool:
    return not isinstance(value, str) or len(value) <= LARGEST_KEPT_HEADER
