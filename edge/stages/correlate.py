"""Gives every request the id and the trace that find it again in every process, and tells the client both."""

from __future__ import annotations

import random
import re
import time

from sanic import HTTPResponse

from edge.exchange import Exchange, Target
from shared.logs.context import bind_request
from shared.values.identifiers import is_sane_token, new_id

_DICE = random.Random(random.SystemRandom().getrandbits(128))  # noqa: S311 - names of traces keep no secret
_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})")


async def correlate(exchange: Exchange, proceed: Target) -> HTTPResponse:
    """Take the client's ids where they are sane, make them where not, and echo them."""
    offered = exchange.header("x-request-id")
    exchange.request_id = offered if offered is not None and is_sane_token(offered) else new_id()
    exchange.traceparent = _continued(exchange.header("traceparent"))
    bind_request({"http.request.id": exchange.request_id, "trace.id": exchange.traceparent[3:35]})
    try:
        response = await proceed(exchange)
    finally:
        bind_request(None)
    response.headers["x-request-id"] = exchange.request_id
    response.headers["server-timing"] = (
        f"edge;dur={(time.perf_counter() - exchange.began) * 1000:.1f}, rpc;dur={exchange.rpc_seconds * 1000:.1f}, "
        f'traceparent;desc="{exchange.traceparent}"'
    )
    return response


def _continued(traceparent: str | None) -> str:
    """The client's trace with a span of our own, or a new trace."""
    match = _TRACEPARENT.fullmatch(traceparent or "")
    fresh = f"{_DICE.getrandbits(192):048x}"
    trace, flags = (match[1], match[2]) if match else (fresh[16:], "01")
    return f"00-{trace}-{fresh[:16]}-{flags}"
