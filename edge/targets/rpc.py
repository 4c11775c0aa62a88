"""The target of nearly every route: one call to one service, contract type in, contract type out."""

from __future__ import annotations

import time
from typing import Any

from sanic import HTTPResponse

from edge.answers import respond
from edge.arguments import Offered, gather
from edge.conditions import expected_version, seen_beside_version
from edge.cursors import BadCursor
from edge.exchange import Exchange, Operation
from edge.policies import Source
from edge.problems import Rejected
from edge.queries import Query, page_scope, parsed_query
from edge.rpc.calls import CallContext, RpcReply
from shared.contracts.checking import Faults
from shared.contracts.method import Method

NOT_OUR_CURSOR = {
    "pointer": "/cursor",
    "detail": "This list gave out no such cursor: follow the Link header, with the same filters.",
}


async def call_service(exchange: Exchange) -> HTTPResponse:
    """Gather the arguments, call the route's method, answer as the route says."""
    route = exchange.matched
    if route.method is None:
        raise LookupError("This route leads to no service.")
    reply = await ask(exchange, route.method, arguments_of(exchange), operation=exchange.operation)
    exchange.replayed = reply.replayed
    return respond(exchange, reply.result)


async def ask(
    exchange: Exchange,
    method: Method,
    arguments: dict[str, Any],
    *,
    operation: Operation | None = None,
    user_id: str | None = None,
) -> RpcReply:
    """One call under the request's deadline, id and trace. Raises what ``edge.rpc.failures`` names."""
    known_user = exchange.caller.user_id if exchange.caller else user_id
    context = CallContext(
        request_id=exchange.request_id,
        deadline=exchange.deadline,
        route=exchange.matched.policy.name,
        operation_id=operation.id if operation else None,
        fingerprint=operation.fingerprint if operation else None,
        user_id=known_user,
        beside_version=_beside_version(exchange),
        traceparent=exchange.traceparent,
        tracestate=exchange.tracestate,
    )
    began = time.perf_counter()
    try:
        return await exchange.equipment.collaborators.rpc.call(method, arguments, context=context)
    finally:
        exchange.rpc_seconds += time.perf_counter() - began


def arguments_of(exchange: Exchange) -> dict[str, Any]:
    """All arguments of the route. Raises ``InvalidRequest`` with every fault at once, or :class:`Rejected`."""
    query, faults = _opened(exchange, parsed_query(exchange.request.query_string))
    known, unmet = _known(exchange)
    offered = Offered(path=exchange.variables, query=query, body=exchange.body or {}, known=known)
    arguments = gather(exchange.matched.binding, offered, known_faults=faults)
    if unmet is not None:
        raise unmet
    return arguments


def _beside_version(exchange: Exchange) -> int | None:
    if "if-match" not in exchange.matched.binding.sources.values():
        return None
    return seen_beside_version(exchange.header("if-match"))


def _opened(exchange: Exchange, query: Query) -> tuple[Query, Faults]:
    """The query with its cursor as the service knows it, and what is wrong with one that is not ours."""
    if not exchange.matched.policy.answer.page:
        return query, []
    scope = page_scope(exchange.matched.policy.name, query)
    opened = exchange.equipment.cursors.open
    try:
        return [(name, opened(value, scope=scope) if name == "cursor" else value) for name, value in query], []
    except BadCursor:
        return [(name, value) for name, value in query if name != "cursor"], [NOT_OUR_CURSOR]


def _known(exchange: Exchange) -> tuple[dict[Source, Any], Rejected | None]:
    """What the edge knows, and the fault of a precondition: that counts only for a request that is else in order."""
    caller = exchange.caller
    known: dict[Source, Any] = {"caller.address": exchange.address}
    if caller is not None:
        known["caller.user_id"] = caller.user_id
        known["caller.session_id"] = caller.session_id
    else:
        known["caller.cart_token"] = exchange.header("x-cart-token")
    if "if-match" in exchange.matched.binding.sources.values():
        try:
            known["if-match"] = expected_version(exchange.header("if-match"))
        except Rejected as unmet:
            return known, unmet
    return known, None
