"""Finds out who calls. A bad token is refused even where none is needed: its sender believes to be known."""

from __future__ import annotations

import structlog
from sanic import HTTPResponse

from edge.exchange import Exchange, Target
from edge.problems import Rejected
from edge.tokens import BadToken

log = structlog.get_logger()

INVALID = {"www-authenticate": 'Bearer realm="kirana", error="invalid_token"'}


async def authenticate(exchange: Exchange, proceed: Target) -> HTTPResponse:
    """On a route that wants to know: verify the bearer token, then see whether its session has ended since."""
    auth = exchange.matched.policy.auth
    if auth == "none":
        return await proceed(exchange)
    token = _bearer_token(exchange)
    if token is None:
        if auth == "required":
            raise Rejected("auth.required", "This needs an access token.")
        return await proceed(exchange)
    try:
        caller = await exchange.equipment.verifier.verify(token)
    except BadToken as bad:
        log.info("edge.token_refused", reason=str(bad))
        raise Rejected("auth.invalid_token", "The access token is not valid.", headers=INVALID) from None
    if exchange.equipment.collaborators.revocations.is_revoked(caller.session_id):
        raise Rejected("auth.invalid_token", "The session of this access token has ended.", headers=INVALID)
    exchange.caller = caller
    structlog.contextvars.bind_contextvars(**{"user.id": caller.user_id})
    return await proceed(exchange)


def _bearer_token(exchange: Exchange) -> str | None:
    headers = exchange.request.headers.getall("authorization", [])
    if not headers:
        return None
    if len(headers) > 1:
        raise Rejected("request.malformed", "There is more than one Authorization header.")
    scheme, _, token = str(headers[0]).strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Rejected("auth.required", "Only bearer tokens are taken.")
    return token.strip()
