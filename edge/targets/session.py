"""Logging in and out: where one request is more than one call, and the edge itself must remember."""

from __future__ import annotations

import structlog
from sanic import HTTPResponse

from edge.answers import respond
from edge.exchange import Exchange, Operation
from edge.rpc.failures import CallFailure, RemoteRefusal
from edge.targets.rpc import arguments_of, ask
from edge.tokens import LEEWAY_SECONDS
from shared.contracts.cart import MERGE_CARTS
from shared.contracts.identity import ISSUE_TOKENS, REVOKE_SESSION

log = structlog.get_logger()


async def log_in(exchange: Exchange) -> HTTPResponse:
    """Issue tokens, then merge the guest's cart. A cart that cannot be merged does not keep anybody out."""
    arguments = arguments_of(exchange)
    cart_token = arguments.pop("cart_token", None)
    reply = await ask(exchange, ISSUE_TOKENS, arguments, operation=exchange.operation)
    exchange.replayed = reply.replayed
    response = respond(exchange, reply.result)
    if cart_token is not None:
        merged = await _merge(exchange, cart_token, user_id=reply.result["user_id"])
        response.headers["x-cart-merged"] = "true" if merged else "false"
    return response


async def log_out(exchange: Exchange) -> HTTPResponse:
    """End the session at identity, then here at once; the other workers hear of it by event."""
    reply = await ask(exchange, REVOKE_SESSION, arguments_of(exchange), operation=exchange.operation)
    exchange.replayed = reply.replayed
    if exchange.caller is not None:
        forget_at = exchange.caller.expires_at + LEEWAY_SECONDS
        exchange.equipment.collaborators.revocations.add(exchange.caller.session_id, forget_at)
    return respond(exchange, reply.result)


async def _merge(exchange: Exchange, cart_token: str, *, user_id: str) -> bool:
    asked = exchange.operation
    operation = Operation(f"{asked.id}/merge", asked.fingerprint) if asked else None
    arguments = {"user_id": user_id, "cart_token": cart_token}
    try:
        await ask(exchange, MERGE_CARTS, arguments, operation=operation, user_id=user_id)
    except RemoteRefusal as refusal:
        log.info("edge.cart_not_merged", reason=refusal.code)
        return False
    except CallFailure as failure:
        log.warning("edge.cart_not_merged", reason=failure.reason)
        return False
    return True
