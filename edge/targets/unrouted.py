"""Where requests end that no route takes: nothing here, not this method, or only a question about methods."""

from __future__ import annotations

from sanic import HTTPResponse
from sanic.exceptions import PayloadTooLarge

from edge.cors import preflight_headers
from edge.exchange import Exchange, Target
from edge.problems import Rejected
from edge.routes import NotRouted

EVERY_METHOD = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
"""What the edge knows at all; each path takes some of them."""


async def _read_past_body(exchange: Exchange) -> None:
    """Nobody asked for one, but Sanic reports what is left unread. Nothing of it is kept."""
    incoming = exchange.request.stream
    if incoming is None or exchange.header("content-length") is None:
        return
    try:
        while await incoming.read():  # type: ignore[attr-defined]  # only HTTP/1 is served, whose stream can be read
            pass
    except PayloadTooLarge:
        raise Rejected("request.too_large", "No body is wanted here.", headers={"connection": "close"}) from None


def unrouted(reason: NotRouted) -> Target:
    """The target for a request that matched no route."""

    async def answer(exchange: Exchange) -> HTTPResponse:
        allowed = EVERY_METHOD if exchange.request.path == "*" else reason.allowed  # OPTIONS * asks of the whole edge
        if not allowed:
            raise Rejected("route.not_found", "There is nothing at this path.")
        allow = {"allow": ", ".join(allowed)}
        if exchange.request.method != "OPTIONS":
            raise Rejected("route.method_not_allowed", f"Here only {allow['allow']} can be used.", headers=allow)
        await _read_past_body(exchange)
        origins = exchange.equipment.collaborators.settings.cors_origins
        names = ("origin", "access-control-request-method")
        asked = {name: value for name in names if (value := exchange.header(name)) is not None}
        return HTTPResponse(status=204, headers=allow | preflight_headers(asked, origins, allowed))

    return answer
