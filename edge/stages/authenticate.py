"""Finds out who calls. A bad token is refused even where none is needed: its sender believes to be known."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from sanic import HTTPResponse

from edge.composing import only_for
from edge.exchange import Exchange, Target
from edge.problems import Rejected
from edge.tokens import BadToken, Caller, Verifier
from shared.logs.context import add_to_request

log = structlog.get_logger()

INVALID = {"www-authenticate": 'Bearer realm="kirana", error="invalid_token"'}


@only_for(lambda route: route.policy.auth != "none")
async def authenticate(exchange: Exchange, proceed: Target) -> HTTPResponse:
    """On a route that wants to know: who the bearer token speaks for, unless their session has ended since."""
    caller = recognized(exchange) or await _verified(exchange)
    if caller is not None:
        exchange.caller = caller
        add_to_request("user.id", caller.user_id)
    return await proceed(exchange)


def recognized(exchange: Exchange) -> Caller | None:
    """The caller, if this worker has verified the token before: neither waits nor refuses.

    A stage before :func:`authenticate` may ask, and keep the answer in ``exchange.caller``; it is not looked up again.
    """
    if exchange.caller is not None or exchange.matched.policy.auth == "none":
        return exchange.caller
    return known_by(exchange.request.headers.getall("authorization", ()), exchange.equipment.verifier)


def known_by(headers: Sequence[str], verifier: Verifier) -> Caller | None:
    """Who these ``Authorization`` headers speak for, if there is but one, and its token was verified before."""
    if len(headers) != 1:
        return None
    scheme, token = _parts(headers[0])
    return verifier.known(token) if scheme == "bearer" else None


async def _verified(exchange: Exchange) -> Caller | None:
    token = _bearer_token(exchange)
    if token is None:
        if exchange.matched.policy.auth == "required":
            raise Rejected("auth.required", "This needs an access token.")
        return None
    try:
        return await exchange.equipment.verifier.verify(token)
    except BadToken as bad:
        log.info("edge.token_refused", reason=str(bad))
        raise Rejected("auth.invalid_token", "The access token is not valid.", headers=INVALID) from None


def _bearer_token(exchange: Exchange) -> str | None:
    headers = exchange.request.headers.getall("authorization", ())
    if not headers:
        return None
    if len(headers) > 1:
        raise Rejected("request.malformed", "There is more than one Authorization header.")
    scheme, token = _parts(headers[0])
    if scheme != "bearer" or not token:
        raise Rejected("auth.required", "Only bearer tokens are taken.")
    return token


def _parts(header: str) -> tuple[str, str]:
    scheme, _, token = header.strip().partition(" ")
    return scheme.lower(), token.strip()
