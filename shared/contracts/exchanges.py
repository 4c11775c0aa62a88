"""Where messages travel on the broker: the names that callers, services and the operator's tools must agree on."""

CALLS = "nameko-rpc"
"""Calls by ``<service>.<method>``, and answers by the caller's own address: Nameko's."""


def calls_queue(service: str) -> str:
    """The queue that every instance of a service takes its calls from: Nameko's."""
    return f"rpc-{service}"


def events_of(service: str) -> str:
    """What a service tells of, by the event's name: Nameko's."""
    return f"{service}.events"
