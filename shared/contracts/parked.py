"""What parked messages carry and where they lie: services write it, the operator's tools read it."""

from __future__ import annotations

from shared.contracts.exchanges import calls_queue

REASON = "x-parked-reason"
FROM = "x-parked-from"
AT = "x-parked-at"
KEY = "x-parked-key"
"""The routing key of a parked call, which names its method."""

ATTEMPT = "x-kirana-attempt"
DELIVERY_COUNT = "x-delivery-count"
"""The broker's own: how often the message came back to its queue."""

DEATHS = "x-death"
"""The broker's own: what it did with a message that nobody parked."""

EXCHANGE = "kirana.parking"
"""Direct, by :func:`parking_key`."""


def parking_queue(service: str) -> str:
    """Where the service's parked events lie."""
    return f"parking.{service}"


def call_parking_queue(service: str) -> str:
    """Where its parked calls lie: apart, as any number of them must not push out one event."""
    return f"parking.{service}.calls"


def parking_queues(service: str) -> tuple[str, str]:
    """Both, that of events first."""
    return parking_queue(service), call_parking_queue(service)


def parking_key(service: str, origin: str) -> str:
    """By which the parking exchange is given what came to the service from the queue ``origin``."""
    return f"{service}.calls" if origin == calls_queue(service) else service
