"""How the shop is right now: a page for people, and the figures that it asks for every two seconds."""

from __future__ import annotations

from sanic import HTTPResponse

from edge.exchange import Exchange
from edge.targets.assets import html
from edge.targets.rpc import arguments_of

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


async def status(exchange: Exchange) -> HTTPResponse:
    """The page, without any figure yet."""
    arguments_of(exchange)
    return html("status.html", policy=POLICY, values={"here": "/status"})


async def status_json(exchange: Exchange) -> HTTPResponse:
    """The figures of all workers of this edge, a second old at most."""
    arguments_of(exchange)
    headers = {"cache-control": "no-store"}
    told = await exchange.equipment.together.status()
    return HTTPResponse(told, headers=headers, content_type="application/json")
