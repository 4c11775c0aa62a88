"""What parked messages carry and where they lie: services write it, the operator's tools read it."""

from __future__ import annotations

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
"""Direct, by the name of the service that could not take the message in."""


def parking_queue(service: str) -> str:
    """Where the service's parked messages lie."""
    return f"parking.{service}"
