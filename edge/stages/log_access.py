"""Writes the one canonical line per request, whatever became of it."""

from __future__ import annotations

import time

import structlog
from sanic import HTTPResponse

from edge.exchange import Exchange, Target

log = structlog.get_logger()

CLIENT_HAS_GONE = 499


async def log_access(exchange: Exchange, proceed: Target) -> HTTPResponse:
    """Log when the answer is ready; a request whose client went away is logged too."""
    status = CLIENT_HAS_GONE
    try:
        response = await proceed(exchange)
        status = response.status
    finally:
        log.info(
            "http.request",
            route=exchange.route.policy.name if exchange.route else "none",
            **{
                "http.request.method": exchange.request.method,
                "url.path": exchange.request.path,
                "http.response.status_code": status,
                "event.duration": int((time.perf_counter() - exchange.began) * 1_000_000_000),
            },
        )
    return response
