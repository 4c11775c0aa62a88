"""Names every metric once: what is counted, with which labels, and what it means; ``docs/metrics.md`` has them all.

Labels are bounded by the contracts and by our own words, never by what a client or a message says.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram"]

CALL_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SIZE_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128)


class Family(NamedTuple):
    """A metric with all its series."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str
    buckets: tuple[float, ...] = ()


def _counter(name: str, meaning: str, *labels: str) -> Family:
    return Family(name, "counter", labels, meaning)


def _gauge(name: str, meaning: str, *labels: str) -> Family:
    return Family(name, "gauge", labels, meaning)


CALLS = _counter("kirana_rpc_calls_total", "Calls, by what their caller was told.", "service", "method", "outcome")
CALL_SECONDS = Family(
    "kirana_rpc_call_seconds",
    "histogram",
    ("service", "method"),
    "From the call to its outcome, as its caller waited, with retries and waiting for room.",
    CALL_BUCKETS,
)
QUEUE_SECONDS = Family(
    "kirana_rpc_queue_seconds",
    "histogram",
    ("service", "method"),
    "From sending a call to its pick-up by a worker of the service.",
    CALL_BUCKETS,
)
RUN_SECONDS = Family(
    "kirana_rpc_run_seconds",
    "histogram",
    ("service", "method", "outcome"),
    "From the pick-up of a call to its answer, in the service.",
    CALL_BUCKETS,
)
BATCH_SIZE = Family(
    "kirana_rpc_batch_size",
    "histogram",
    ("service", "frame"),
    "Calls or replies that travelled in one frame.",
    SIZE_BUCKETS,
)
IN_FLIGHT = _gauge("kirana_rpc_in_flight", "Calls under way now.", "service", "side")
WAITING = _gauge("kirana_rpc_waiting", "Calls that wait for room or for a worker now.", "service", "side")
LATE_REPLIES = _counter("kirana_rpc_late_replies_total", "Replies for which nobody waited any more.")
EXPIRED = _counter("kirana_rpc_expired_total", "Messages that came back because nobody took them in time.")
SHARED = _counter("kirana_rpc_shared_total", "Reads that were answered by an equal one's call.", "service")
REDELIVERIES = _counter("kirana_rpc_redeliveries_total", "Requests that came a second time.", "service")
RETRIES = _counter("kirana_rpc_retries_total", "Calls that were tried a second time.")
REPLIES_DROPPED = _counter("kirana_rpc_replies_dropped_total", "Replies that could not be sent.", "service")
BREAKER_STATE = _gauge("kirana_rpc_breaker_state", "0 closed, 1 half-open, 2 open.", "service")
CONSUMERS = _gauge("kirana_rpc_consumers", "Instances seen listening on the service's queue.", "service")
PARKED = _counter("kirana_messages_parked_total", "Messages put aside for a person to look at.", "service", "from")
BROKER_CONNECTED = _gauge("kirana_broker_connected", "1 while the link to the broker is open.", "link")
EVENTS_HANDLED = _counter("kirana_events_handled_total", "Events, by what became of them.", "type", "outcome")
EVENTS_PUBLISHED = _counter("kirana_events_published_total", "Events that the broker has confirmed.", "type")
OUTBOX_OLDEST = _gauge("kirana_outbox_oldest_seconds", "Age of the oldest event that waits in the outbox.", "service")
SILENT_WORKERS = _gauge("kirana_edge_silent_workers", "Workers of this edge that did not answer this scrape.")

FAMILIES = (
    CALLS,
    CALL_SECONDS,
    QUEUE_SECONDS,
    RUN_SECONDS,
    BATCH_SIZE,
    IN_FLIGHT,
    WAITING,
    LATE_REPLIES,
    EXPIRED,
    SHARED,
    REDELIVERIES,
    RETRIES,
    REPLIES_DROPPED,
    BREAKER_STATE,
    CONSUMERS,
    PARKED,
    BROKER_CONNECTED,
    EVENTS_HANDLED,
    EVENTS_PUBLISHED,
    OUTBOX_OLDEST,
    SILENT_WORKERS,
)
