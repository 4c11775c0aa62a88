"""Writes the one canonical line per request, whatever became of it."""

from __future__ import annotations

import time

import structlog
from sanic import HTTPResponse

from edge.admission.priorities import HEALTH
from edge.exchange import Exchange, Target

log = structlog.get_logger()

CLIENT_ERROR = 400
CLIENT_HAS_GONE = 499
SERVER_FAULT = 500
NOT_COUNTED = frozenset({*HEALTH, "status", "status_json"})
"""Who looks at how the edge is should not see the looking."""

QUIET = frozenset({"serving", "ready"})
"""Asked every few seconds by whatever sends requests here: that all is well each time is news to nobody."""


async def log_access(exchange: Exchange, proceed: Target) -> HTTPResponse:
    """Log when the answer is ready; a request whose client went away is logged too. It says why one failed.

    A probe that all is well with is told at the level debug only.
    """
    status, route = CLIENT_HAS_GONE, exchange.route
    try:
        response = await proceed(exchange)
        status = response.status
    finally:
        ended = time.perf_counter()
        seconds = ended - exchange.began
        is_counted = route is None or route.policy.local not in NOT_COUNTED
        if is_counted:
            sight = exchange.equipment.collaborators.sight
            sight.history.note(status, seconds, ended)
            sight.traffic.note(route.policy.name if route else "none", exchange.request.method, status, seconds)
        is_quiet = status < CLIENT_ERROR and route is not None and route.policy.local in QUIET
        tell = log.debug if is_quiet else log.warning if is_counted and status >= SERVER_FAULT else log.info
        tell(
            "http.request",
            route=route.policy.name if route else "none",
            routes=exchange.snapshot.version.hash,
            code=exchange.problem,
            reason=exchange.reason,
            **{
                "http.request.method": exchange.request.method,
                "url.path": exchange.request.path,
                "http.response.status_code": status,
                "event.duration": int(seconds * 1_000_000_000),
                "event.outcome": "failure" if status >= CLIENT_HAS_GONE else "success",
            },
        )
    return response
