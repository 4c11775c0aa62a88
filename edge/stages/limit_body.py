"""Takes the body in, as far as the route allows one: JSON in UTF-8, of known length, not too large."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sanic import HTTPResponse

from edge.admission import awaited
from edge.bodies import read_object
from edge.exchange import Exchange, Target
from edge.forms import read_form
from edge.problems import Rejected

CLOSE = {"connection": "close"}
TYPES = {
    "json": ("application/json",),
    "form": ("application/x-www-form-urlencoded",),
    "text": ("application/yaml", "application/json"),
}
READ: dict[str, Callable[[bytes], dict[str, Any]]] = {
    "json": read_object,
    "form": read_form,
    "text": lambda _: {},  # the target reads it for itself
}
LONGEST_NUMBER = 10
DISCARDED_BYTES = 8_000_000


async def limit_body(exchange: Exchange, proceed: Target) -> HTTPResponse:
    """Refuse before reading what the headers already give away; an absent body is an empty object."""
    if exchange.header("transfer-encoding") is not None:
        raise Rejected("request.length_required", "Send the body with a Content-Length.", headers=CLOSE)
    passed_on = exchange.matched.upload_limit
    limit = exchange.matched.policy.body_limit if passed_on is None else passed_on
    declared = exchange.header("content-length") or "0"
    if not declared.isdecimal() or len(declared) > LONGEST_NUMBER or int(declared) > limit:
        await _discard(exchange, declared)
        raise Rejected("request.too_large", f"The body may have at most {limit} bytes here.", headers=CLOSE)
    stream: Any = exchange.request.stream
    if stream is not None:
        stream.request_max_size = limit  # Sanic's own is for bodies that no route allows
    if passed_on is None and int(declared):
        _check_type(exchange)
    if passed_on is None and exchange.header("content-length") is not None:
        await exchange.request.receive_body()  # type: ignore[no-untyped-call]  # Sanic leaves it untyped
    place = exchange.place
    if place is not None and passed_on is not None:
        exchange.body = {}
        return await awaited.passed_on(exchange, place, proceed)
    if place is not None and not awaited.enter(exchange, place):  # there was room when the head came
        return awaited.shed(exchange)
    raw = exchange.request.body
    exchange.body = READ[exchange.matched.policy.body](raw) if raw.strip() else {}
    return await proceed(exchange)


def _check_type(exchange: Exchange) -> None:
    kind, _, parameters = (exchange.header("content-type") or "").lower().partition(";")
    charset = parameters.strip().removeprefix("charset=").strip('"')
    taken = TYPES[exchange.matched.policy.body]
    if kind.strip() not in taken or charset not in {"", "utf-8", "utf8"}:
        raise Rejected("request.media_type", f"Send it in UTF-8 as Content-Type: {' or '.join(taken)}.")
    if (exchange.header("content-encoding") or "identity").lower() != "identity":
        raise Rejected("request.media_type", "Send the body without a Content-Encoding.")


async def _discard(exchange: Exchange, declared: str) -> None:
    """Read a body that is only somewhat too large, without keeping it: clients that send first can then hear the no."""
    stream: Any = exchange.request.stream
    if stream is None or len(declared) > LONGEST_NUMBER or exchange.header("expect") is not None:
        return
    if declared.isdecimal() and int(declared) <= DISCARDED_BYTES:
        stream.request_max_size = DISCARDED_BYTES
        async for _ in stream:
            pass
