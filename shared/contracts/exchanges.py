"""Where messages travel on the broker: the names that callers, services and the operator's tools must agree on."""

from typing import Any

from shared.contracts import headers

CALLS = "nameko-rpc"
"""Calls by ``<service>.<method>``, and answers by the caller's own address: Nameko's."""

EXPIRED = "dlx.rpc"
"""Where the broker brings calls that expired in their queue. Each caller binds its reply queue to its own."""


def returned_to(address: str) -> dict[str, Any]:
    """The arguments with which a caller binds its reply queue to :data:`EXPIRED`."""
    return {"x-match": "all", headers.RETURN_TO: address}


def calls_queue(service: str) -> str:
    """The queue that every instance of a service takes its calls from: Nameko's."""
    return f"rpc-{service}"


def events_of(service: str) -> str:
    """What a service tells of, by the event's name: Nameko's."""
    return f"{service}.events"
