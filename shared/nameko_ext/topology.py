"""Names and arguments of what services declare on the broker: stock Nameko's, and parking and retries beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import structlog
from amqp.exceptions import AccessRefused

from shared.contracts import exchanges, parked

log = structlog.get_logger()

RETRY_DELAYS_MS = (1_000, 5_000, 30_000)
PARKING = {"x-queue-type": "quorum", "x-max-length": 10_000, "x-overflow": "drop-head"}


@dataclass(frozen=True)
class EventQueue:
    """The queue of one event handler, named as stock Nameko names it."""

    exchange: str
    routing_key: str
    name: str
    service: str

    def retry_name(self, delay_ms: int) -> str:
        """Where a failed event waits."""
        return f"retry.{delay_ms // 1000}s.{self.name}"


def event_queue(source: str, event_type: str, service: str, method: str) -> EventQueue:
    """The queue of the service's handler ``method`` for the source's events of this type."""
    return EventQueue(
        exchanges.events_of(source), event_type, f"evt-{source}-{event_type}--{service}.{method}", service
    )


def declare_parking(channel: Any, service: str) -> None:
    """Where events and calls go that cannot be handled.

    A broker with the rights of an older version refuses the queue of calls, and py-amqp opens the channel again.
    """
    channel.exchange_declare(parked.EXCHANGE, "direct", durable=True, auto_delete=False)
    _declare_queue(channel, parked.parking_queue(service), PARKING)
    channel.queue_bind(parked.parking_queue(service), parked.EXCHANGE, service)
    calls = parked.call_parking_queue(service)
    try:
        _declare_queue(channel, calls, PARKING)
        channel.queue_bind(calls, parked.EXCHANGE, parked.parking_key(service, exchanges.calls_queue(service)))
    except AccessRefused as fault:
        log.warning("parking.calls_refused", queue=calls, reason=str(fault))


def declare_rpc(channel: Any, service: str) -> None:
    """The request queue, exactly as stock Nameko declares it."""
    channel.exchange_declare(exchanges.CALLS, "topic", durable=True, auto_delete=False)
    _declare_queue(channel, exchanges.calls_queue(service), {})
    channel.queue_bind(exchanges.calls_queue(service), exchanges.CALLS, f"{service}.*")
    declare_parking(channel, service)


def declare_events(channel: Any, queue: EventQueue) -> None:
    """The handler's queue, its retry ladder and its parking."""
    declare_parking(channel, queue.service)
    channel.exchange_declare(queue.exchange, "topic", durable=True, auto_delete=False)
    _declare_queue(
        channel,
        queue.name,
        {
            "x-queue-type": "quorum",
            "x-delivery-limit": 5,
            "x-dead-letter-exchange": parked.EXCHANGE,
            "x-dead-letter-routing-key": queue.service,
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
            "x-max-length": 50_000,
        },
    )
    channel.queue_bind(queue.name, queue.exchange, queue.routing_key)
    for delay_ms in RETRY_DELAYS_MS:
        _declare_queue(
            channel,
            queue.retry_name(delay_ms),
            {
                "x-queue-type": "quorum",
                "x-message-ttl": delay_ms,
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": queue.name,
                "x-dead-letter-strategy": "at-least-once",  # a classic queue forgets the message before it has arrived
                "x-overflow": "reject-publish",
                "x-max-length": 50_000,
            },
        )


def _declare_queue(channel: Any, name: str, arguments: dict[str, Any]) -> None:
    channel.queue_declare(name, durable=True, exclusive=False, auto_delete=False, arguments=arguments)
