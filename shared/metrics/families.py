"""Names every metric once: what is counted, with which labels, and what it means; ``docs/metrics.md`` has them all.

Labels are bounded by the contracts and by our own words, never by what a client or a message says.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram"]

CALL_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SIZE_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


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
READ_BATCH_SIZE = Family(
    "kirana_read_batch_size",
    "histogram",
    ("service", "loader"),
    "Keys that a service asked its store for together.",
    SIZE_BUCKETS,
)
IN_FLIGHT = _gauge("kirana_rpc_in_flight", "Calls under way now.", "service", "side")
WAITING = _gauge("kirana_rpc_waiting", "Calls that wait for room or for a worker now.", "service", "side")
LATE_REPLIES = _counter("kirana_rpc_late_replies_total", "Answers for which nobody waited any more.")
EXPIRED = _counter("kirana_rpc_expired_total", "Messages that came back because nobody took them in time.")
SHARED = _counter("kirana_rpc_shared_total", "Reads that were answered by an equal one's call.", "service")
REDELIVERIES = _counter("kirana_rpc_redeliveries_total", "Requests and events that came a second time.", "service")
RETRIES = _counter("kirana_rpc_retries_total", "Calls that were tried a second time.")
REPLIES_DROPPED = _counter("kirana_rpc_replies_dropped_total", "Replies that could not be sent.", "service")
BREAKER_STATE = _gauge("kirana_rpc_breaker_state", "0 closed, 1 half-open, 2 open.", "service")
METHOD_BREAKER_STATE = _gauge("kirana_rpc_call_breaker_state", "0 closed, 1 half-open, 2 open.", "service", "method")
CONSUMERS = _gauge("kirana_rpc_consumers", "Instances seen listening on the service's queue.", "service")
PARKED = _counter("kirana_messages_parked_total", "Messages put aside for a person to look at.", "service", "from")
GIVEN_UP = _counter("kirana_calls_given_up_total", "Unusable calls that could not even be parked.", "service")
BROKER_CONNECTED = _gauge("kirana_broker_connected", "1 while the link to the broker is open.", "link")
EVENTS_HANDLED = _counter("kirana_events_handled_total", "Events, by what became of them.", "type", "outcome")
EVENTS_PUBLISHED = _counter("kirana_events_published_total", "Events that the broker has confirmed.", "type")
OUTBOX_OLDEST = _gauge("kirana_outbox_oldest_seconds", "Age of the oldest event that waits in the outbox.", "service")
LOGINS = _counter("kirana_identity_logins_total", "Tries of a password, by what became of them.", "outcome")
TOKEN_VERDICTS = _counter(
    "kirana_edge_token_verdicts_total", "Access tokens judged, by where the verdict came from.", "source"
)
KEY_FETCHES = _counter("kirana_edge_key_fetches_total", "Times identity was asked for its keys.", "outcome")
PARTS = _counter("kirana_edge_parts_total", "Parts of aggregates, by what became of them.", "route", "part", "outcome")
PLUGIN_FAILURES = _counter("kirana_edge_stage_failures_total", "Requests that a plugin failed at.", "plugin")
KEYS_AGE = _gauge("kirana_edge_keys_age_seconds", "Time since identity last told its keys.")
REVOCATIONS = _gauge("kirana_edge_revocations", "Ends of sessions and users that this worker knows of.", "kind")
REVOCATIONS_COMPLETE = _gauge("kirana_edge_revocations_complete", "1 while every such end is known here.")
ROUTES_IN_FORCE = _gauge("kirana_edge_routes_in_force", "1 for the route table in force.", "version", "origin")
ROUTES_SINCE = _gauge("kirana_edge_routes_since_seconds", "When the table in force was taken, in seconds of the epoch.")
ROUTES_OFFERED = _counter("kirana_edge_routes_offered_total", "Tables offered, by what became of them.", "outcome")
ROUTES_REFUSED = _gauge("kirana_edge_routes_refused", "1 while a table is on offer that cannot be used.")
CACHE_REQUESTS = _counter(
    "kirana_edge_cache_requests_total", "Requests whose answer may be kept, by where it came from.", "route", "outcome"
)
CACHE_BYTES = _gauge("kirana_edge_cache_bytes", "What this worker keeps of answers.")
CACHE_EVICTIONS = _counter("kirana_edge_cache_evictions_total", "Answers that had to go for want of room.")
CACHE_PURGES = _counter("kirana_edge_cache_purges_total", "Purges, by the event that made them.", "by")
CACHE_SHARED_FAILURES = _counter("kirana_edge_cache_shared_failures_total", "Times Redis did not answer in time.")
LIMITS_STATE = _gauge("kirana_edge_limits_state", "0 shared by all edges, 1 judged by each worker alone.")
LIMIT_CHECKS = _counter("kirana_edge_limit_checks_total", "Requests whose limits were judged, by who judged.", "judge")
LIMIT_REFUSALS = _counter("kirana_edge_limit_refusals_total", "Requests over a limit, by that limit.", "policy")
LIMIT_BATCH_SIZE = Family(
    "kirana_edge_limit_batch_size", "histogram", (), "Requests whose limits were asked for together.", SIZE_BUCKETS
)
REQUEST_SECONDS = Family(
    "kirana_edge_request_seconds",
    "histogram",
    ("route", "method", "status"),
    "From the head of a request to its answer being ready, as the edge's clients wait.",
    CALL_BUCKETS,
)
IN_FLIGHT_LIMIT = _gauge("kirana_rpc_in_flight_limit", "Calls that may be under way at once.", "service", "side")
DATABASE_CONNECTIONS = _gauge(
    "kirana_database_connections", "Connections to PostgreSQL, used and idle.", "service", "state"
)
DATABASE_LIMIT = _gauge("kirana_database_connections_limit", "Connections that a process may open.", "service")
DATABASE_WAITING = _gauge("kirana_database_waiting", "Calls that wait for a connection now.", "service")
REDIS_CONNECTIONS = _gauge("kirana_redis_connections", "Connections to Redis, used and idle.", "store", "state")
REDIS_LIMIT = _gauge("kirana_redis_connections_limit", "Connections that a process may open.", "store")
ORDERS = _counter("kirana_orders_total", "Orders, by what became of them.", "outcome")
REVENUE = _counter(
    "kirana_orders_revenue_minor_units_total", "Money of orders, in cents or their like.", "currency", "kind"
)
CART_CHANGES = _counter("kirana_cart_changes_total", "Changes of carts that took place.", "change")
CARTS_OPEN = _gauge("kirana_carts_open", "Carts with something in them, as the journal has them.")
STOCK_HOLDS = _counter("kirana_stock_holds_total", "Holds of stock for orders, by what became of them.", "outcome")
STOCK_RESERVED = _gauge("kirana_stock_reserved_units", "Units that orders hold and have not bought.")
STOCK_SOLD_OUT = _gauge("kirana_stock_gone_products", "Products on sale of which nothing is free.")
SILENT_WORKERS = _gauge("kirana_edge_silent_workers", "Workers of this edge that did not answer this scrape.")
ADMISSION_LIMIT = _gauge("kirana_edge_admitted_limit", "Requests that may be under way at once now.", "upstream")
ADMITTED = _gauge("kirana_edge_admitted_in_flight", "Requests that were let in and are under way now.", "upstream")
SHED = _counter("kirana_edge_shed_total", "Requests refused because too many were under way.", "upstream", "priority")
LOOP_LAG = _gauge("kirana_edge_loop_lag_seconds", "How late this worker's event loop came lately, on average.")
HTTP_REQUESTS = _counter(
    "kirana_http_requests_total", "Requests passed on to HTTP services, by what came of them.", "route", "outcome"
)
HTTP_RETRIES = _counter("kirana_http_retries_total", "Requests that were passed on a second time.", "service")
HTTP_IN_FLIGHT = _gauge("kirana_http_in_flight", "Requests that HTTP services have to answer now.", "service")
HTTP_INSTANCES = _gauge("kirana_http_instances", "Instances of HTTP services, by how they are.", "service", "kind")
HTTP_BREAKER_STATE = _gauge("kirana_http_breaker_state", "0 closed, 1 half-open, 2 open.", "route")
SPANS = _counter("kirana_trace_spans_total", "Spans of traces, by what became of them.", "outcome")
BUILD = _gauge("kirana_build_info", "1 for the release that this process runs.", "version")
CONSUL_CONNECTED = _gauge("kirana_consul_connected", "1 while Consul takes this process's signs of life.")
CONNECTIONS = _gauge("kirana_edge_connections", "Connections that clients hold open now.")
CONNECTIONS_CUT = _counter("kirana_edge_connections_cut_total", "Connections ended for slowness or for room.", "reason")

FAMILIES = (
    CALLS,
    CALL_SECONDS,
    QUEUE_SECONDS,
    RUN_SECONDS,
    BATCH_SIZE,
    READ_BATCH_SIZE,
    IN_FLIGHT,
    WAITING,
    LATE_REPLIES,
    EXPIRED,
    SHARED,
    REDELIVERIES,
    RETRIES,
    REPLIES_DROPPED,
    BREAKER_STATE,
    METHOD_BREAKER_STATE,
    CONSUMERS,
    PARKED,
    GIVEN_UP,
    BROKER_CONNECTED,
    EVENTS_HANDLED,
    EVENTS_PUBLISHED,
    OUTBOX_OLDEST,
    REQUEST_SECONDS,
    IN_FLIGHT_LIMIT,
    DATABASE_CONNECTIONS,
    DATABASE_LIMIT,
    DATABASE_WAITING,
    REDIS_CONNECTIONS,
    REDIS_LIMIT,
    ORDERS,
    REVENUE,
    CART_CHANGES,
    CARTS_OPEN,
    STOCK_HOLDS,
    STOCK_RESERVED,
    STOCK_SOLD_OUT,
    SILENT_WORKERS,
    LIMITS_STATE,
    LIMIT_CHECKS,
    LIMIT_REFUSALS,
    LIMIT_BATCH_SIZE,
    CACHE_REQUESTS,
    CACHE_BYTES,
    CACHE_EVICTIONS,
    CACHE_PURGES,
    CACHE_SHARED_FAILURES,
    ROUTES_IN_FORCE,
    ROUTES_SINCE,
    ROUTES_OFFERED,
    ROUTES_REFUSED,
    LOGINS,
    TOKEN_VERDICTS,
    KEY_FETCHES,
    PARTS,
    PLUGIN_FAILURES,
    KEYS_AGE,
    REVOCATIONS,
    REVOCATIONS_COMPLETE,
    ADMISSION_LIMIT,
    ADMITTED,
    SHED,
    LOOP_LAG,
    SPANS,
    CONNECTIONS,
    CONNECTIONS_CUT,
    HTTP_REQUESTS,
    HTTP_RETRIES,
    HTTP_IN_FLIGHT,
    HTTP_INSTANCES,
    HTTP_BREAKER_STATE,
    BUILD,
    CONSUL_CONNECTED,
)
