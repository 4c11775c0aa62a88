"""Gives every request the id and the trace that find it again in every process, and tells the client both."""

from __future__ import annotations

import time

from sanic import HTTPResponse

from edge.exchange import Exchange, Target
from edge.stages.log_access import CLIENT_HAS_GONE
from edge.tracing import entered, left
from shared.logs.context import bind_request
from shared.tracing import recording
from shared.tracing.spans import begin, state_of
from shared.values.identifiers import is_sane_token, new_id


async def correlate(exchange: Exchange, proceed: Target) -> HTTPResponse:
    """Take the client's ids where they are sane, make them where not, and echo them."""
    offered = exchange.header("x-request-id")
    exchange.request_id = offered if offered is not None and is_sane_token(offered) else new_id()
    span = begin(exchange.header("traceparent"))
    if span.caller is not None:
        exchange.tracestate = state_of(None, exchange.header("tracestate"))
    if recording.active is not None:
        span = entered(exchange, span, recording.active)
    exchange.traceparent = own = span.traceparent
    fields = {"http.request.id": exchange.request_id, "trace.id": own[3:35], "span.id": own[36:52]}
    if span.parent_id is not None:
        fields["parent_span_id"] = span.parent_id
    bind_request(fields)
    status, began_ns = CLIENT_HAS_GONE, time.time_ns()
    try:
        response = await proceed(exchange)
        status = response.status
    finally:
        bind_request(None)
        if recording.active is not None:
            left(exchange, span, began_ns, status)
    response.headers["x-request-id"] = exchange.request_id
    response.headers["server-timing"] = (
        f"edge;dur={(time.perf_counter() - exchange.began) * 1000:.1f}, rpc;dur={exchange.rpc_seconds * 1000:.1f}, "
        f'traceparent;desc="{exchange.traceparent}"'
    )
    return response
