"""Binds what every log line of a piece of work must carry."""

from __future__ import annotations

import structlog

from shared.messaging.call import Call

TRACEPARENT_PARTS = 4


def bind_log_context(call: Call) -> None:
    """Request, user and trace, for this greenlet: each starts with an empty context."""
    known = {"http.request.id": call.request_id}
    if call.user_id:
        known["user.id"] = call.user_id
    if call.traceparent and (trace := trace_id(call.traceparent)):
        known["trace.id"] = trace
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**known)


def trace_id(traceparent: str | None) -> str | None:
    """The trace's id in a W3C ``traceparent``."""
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) == TRACEPARENT_PARTS else None
