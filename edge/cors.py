"""Cross-origin requests: only origins on the operator's list are answered, and preflights touch no service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

EXPOSED = (
    "Age, Cache-Status, ETag, Link, Location, Retry-After, Idempotency-Replayed, RateLimit, RateLimit-Policy, "
    "Server-Timing, X-Cart-Token, X-Cart-Merged, X-Cart-Left-Out, X-Request-ID"
)
ACCEPTED = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Cart-Token, X-Request-ID, traceparent"
)
PREFLIGHT_SECONDS = 600


def cors_headers(origin: str | None, allowed: Sequence[str]) -> dict[str, str]:
    """Headers for any answer; none at all where no origin is on the list."""
    if not allowed:
        return {}
    if origin is None or origin not in allowed:
        return {"vary": "Origin"}
    return {"vary": "Origin", "access-control-allow-origin": origin, "access-control-expose-headers": EXPOSED}


def preflight_headers(request: Mapping[str, str], allowed: Sequence[str], methods: Sequence[str]) -> dict[str, str]:
    """What a preflight adds, when the origin is on the list and it is one."""
    if request.get("origin") not in allowed or "access-control-request-method" not in request:
        return {}
    return {
        "access-control-allow-methods": ", ".join(methods),
        "access-control-allow-headers": ACCEPTED,
        "access-control-max-age": str(PREFLIGHT_SECONDS),
    }
