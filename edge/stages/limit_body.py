"""Takes the body in, as far as the route allows one: JSON in UTF-8, of known length, not too large."""

from __future__ import annotations

from sanic import HTTPResponse

from edge.bodies import read_object
from edge.exchange import Exchange, Target
from edge.problems import Rejected

CLOSE = {"connection": "close"}
LONGEST_NUMBER = 10
DISCARDED_BYTES = 8_000_000


async def limit_body(exchange: Exchange, proceed: Target) -> HTTPResponse:
    """Refuse before reading what the headers already give away; an absent body is an empty object."""
    if exchange.header("transfer-encoding") is not None:
        raise Rejected("request.length_required", "Send the body with a Content-Length.", headers=CLOSE)
    limit = exchange.matched.policy.body_limit
    declared = exchange.header("content-length") or "0"
    if not declared.isdecimal() or len(declared) > LONGEST_NUMBER or int(declared) > limit:
        await _discard(exchange, declared)
        raise Rejected("request.too_large", f"The body may have at most {limit} bytes here.", headers=CLOSE)
    if int(declared):
        _check_type(exchange)
    if exchange.header("content-length") is not None:
        await exchange.request.receive_body()  # type: ignore[no-untyped-call]  # Sanic leaves it untyped
    raw = exchange.request.body
    exchange.body = read_object(raw) if raw.strip() else {}
    return await proceed(exchange)


def _check_type(exchange: Exchange) -> None:
    kind, _, parameters = (exchange.header("content-type") or "").lower().partition(";")
    charset = parameters.strip().removeprefix("charset=").strip('"')
    if kind.strip() != "application/json" or charset not in {"", "utf-8", "utf8"}:
        raise Rejected("request.media_type", "Send JSON in UTF-8 as Content-Type: application/json.")
    if (exchange.header("content-encoding") or "identity").lower() != "identity":
        raise Rejected("request.media_type", "Send the body without a Content-Encoding.")


async def _discard(exchange: Exchange, declared: str) -> None:
    """Read a body that is only somewhat too large, without keeping it: clients that send first can then hear the no."""
    stream = exchange.request.stream
    if stream is None or len(declared) > LONGEST_NUMBER or exchange.header("expect") is not None:
        return
    if declared.isdecimal() and int(declared) <= DISCARDED_BYTES:
        async for _ in stream:  # type: ignore[attr-defined]  # only HTTP/1 is served, whose stream can be iterated
            pass
