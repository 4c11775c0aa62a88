"""Adds the headers that keep browsers and shared caches from doing harm."""

from __future__ import annotations

from sanic import HTTPResponse

from edge.cors import cors_headers
from edge.exchange import Exchange, Target

HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
}


async def harden(exchange: Exchange, proceed: Target) -> HTTPResponse:
    """What a target set itself (a page's own policy, a public answer's caching) stays."""
    response = await proceed(exchange)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    origins = exchange.equipment.collaborators.settings.cors_origins
    for name, value in cors_headers(exchange.header("origin"), origins).items():
        already = response.headers.getall("vary", []) if name == "vary" else []
        response.headers[name] = ", ".join([*already, value])
    return response
