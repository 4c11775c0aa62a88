"""The broker as one service's container sees it: replies, retries and parking, shared by all its doors."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from amqp.basic_message import Message
from nameko import config
from nameko.extensions import SharedExtension

from shared.nameko_ext import topology
from shared.nameko_ext.publishing import NotConfirmed, Publisher
from shared.nameko_ext.replies import Replies
from shared.values.identifiers import new_id

log = structlog.get_logger()

PERSISTENT = 2
LONGEST_REASON = 500
KEPT_PROPERTIES = ("content_type", "content_encoding", "correlation_id", "reply_to")
LARGEST_KEPT_HEADER = 4096


class Broker(SharedExtension):
    """Links for what a container sends. Opening them never waits: the broker may come up later."""

    def setup(self) -> None:
        """Prepare the links."""
        service: str = self.container.service_name
        self.url: str = config["AMQP_URI"]
        self.instance: str = config.get("INSTANCE", service)
        self.service = service
        self.replies = Replies(self.url, f"{self.instance} replies")
        self.publisher = Publisher(
            self.url,
            f"{self.instance} publisher",
            declare=lambda channel: topology.declare_parking(channel, service),
        )

    def start(self) -> None:
        """Begin to connect."""
        for link in (self.replies.link, self.publisher.link):
            self.container.spawn_managed_thread(link.run, identifier=link.name)

    def stop(self) -> None:
        """Leave the broker."""
        self.replies.link.close()
        self.publisher.link.close()

    def park(self, properties: Mapping[str, Any], body: Any, *, reason: str, origin: str) -> None:
        """Put a message aside for a person to look at. Raises :class:`NotConfirmed`."""
        kept = {
            name: value
            for name, value in (properties.get("application_headers") or {}).items()
            if isinstance(name, str) and isinstance(value, (str, bool, int)) and _is_small(value)
        }
        kept |= {
            topology.REASON_HEADER: reason[:LONGEST_REASON],
            topology.FROM_HEADER: origin,
            "x-parked-at": datetime.now(UTC).isoformat(),
        }
        self.publisher.deliver(
            message_like(properties, body, kept), exchange=topology.PARKING_EXCHANGE, routing_key=self.service
        )
        log.warning("message.parked", reason=reason[:LONGEST_REASON], origin=origin)

    def try_park(self, properties: Mapping[str, Any], body: Any, *, reason: str, origin: str) -> bool:
        """Park it; gives whether that worked."""
        try:
            self.park(properties, body, reason=reason, origin=origin)
        except NotConfirmed as fault:
            log.warning("message.not_parked", reason=reason[:LONGEST_REASON], fault=str(fault))
            return False
        return True


def message_like(properties: Mapping[str, Any], body: Any, headers: Mapping[str, Any]) -> Message:
    """A persistent copy with other headers and an id of its own when it had none."""
    kept = {name: properties[name] for name in KEPT_PROPERTIES if properties.get(name) is not None}
    return Message(
        body,
        delivery_mode=PERSISTENT,
        message_id=properties.get("message_id") or new_id(),
        application_headers=dict(headers),
        **kept,
    )


def _is_small(value: str | int) -> bool:
    return not isinstance(value, str) or len(value) <= LARGEST_KEPT_HEADER
