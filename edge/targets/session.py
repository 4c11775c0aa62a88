"""Logging in and out: where one request is more than one call, and the edge itself must remember."""

from __future__ import annotations

from typing import Any

import structlog
from sanic import HTTPResponse

from edge.answers import respond
from edge.exchange import Exchange, Operation
from edge.rpc.failures import CallFailure, RemoteRefusal
from edge.targets.rpc import arguments_of, ask
from edge.tokens import LEEWAY_SECONDS
from shared.contracts.cart import MERGE_CARTS, LimitExceeded
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
        response.headers.update(_told_of(merged))
    return response


async def log_out(exchange: Exchange) -> HTTPResponse:
    """End the session at identity, then here at once; the other workers hear of it by event."""
    reply = await ask(exchange, REVOKE_SESSION, arguments_of(exchange), operation=exchange.operation)
    exchange.replayed = reply.replayed
    if exchange.caller is not None and exchange.caller.expires_at:  # else a plugin knows this one, who has no session
        forget_at = exchange.caller.expires_at + LEEWAY_SECONDS
        exchange.equipment.collaborators.revocations.add(exchange.caller.session_id, forget_at)
    return respond(exchange, reply.result)


async def _merge(exchange: Exchange, cart_token: str, *, user_id: str) -> Any | None:
    """The user's cart as it is then; ``None`` if the guest's did not come along."""
    asked = exchange.operation
    operation = Operation(f"{asked.id}/merge", asked.fingerprint) if asked else None
    arguments = {"user_id": user_id, "cart_token": cart_token}
    try:
        return (await ask(exchange, MERGE_CARTS, arguments, operation=operation, user_id=user_id)).result
    except RemoteRefusal as refusal:
        log.info("edge.cart_not_merged", reason=refusal.code)
    except CallFailure as failure:
        log.warning("edge.cart_not_merged", reason=failure.reason)
    return None


def _told_of(merged: Any | None) -> dict[str, str]:
    """Whether the guest's cart came along, and what of it found no room: nothing is left out without a word."""
    if merged is None:
        return {"x-cart-merged": "false"}
    left_out = [warning["product_id"] for warning in merged["warnings"] if warning["code"] == LimitExceeded.code]
    if not left_out:
        return {"x-cart-merged": "true"}
    return {"x-cart-merged": "partly", "x-cart-left-out": ", ".join(str(product_id) for product_id in left_out)}
