"""The breakers before the services, to be seen and to be held open or closed."""

from __future__ import annotations

from sanic import HTTPResponse

from edge.answers import plain_json
from edge.exchange import Exchange
from edge.problems import Rejected
from edge.rpc.failures import NotExecuted
from edge.rpc.rulings import LOOK_SECONDS, RulingsAway
from edge.targets.rpc import arguments_of
from shared.contracts import cart, catalog, identity, notification, order
from shared.contracts.refusals import InvalidRequest

METHODS = {part.METHODS.service: part.METHODS for part in (identity, catalog, cart, order, notification)}


async def show_breakers(exchange: Exchange) -> HTTPResponse:
    """Per service and method: breaker state, reason and what is in flight, as this worker sees it."""
    arguments_of(exchange)
    return plain_json(exchange.equipment.collaborators.health.services())


async def set_breaker(exchange: Exchange) -> HTTPResponse:
    """Hold a service's breakers, or one method's, open or closed on every worker; or let them decide again."""
    arguments = arguments_of(exchange)
    service, method = arguments["service"], arguments.get("method")
    if service not in METHODS:
        raise Rejected("route.not_found", "There is no such service.")
    if method is not None and method not in METHODS[service]:
        raise InvalidRequest(errors=[{"pointer": "/method", "detail": "The service has no such method."}])
    rulings = exchange.equipment.collaborators.rulings
    if rulings is None:
        raise NotExecuted("this edge keeps no rulings")
    try:
        await rulings.hold(service, method, arguments["state"])
    except RulingsAway as away:
        raise NotExecuted(f"a ruling would not reach the other workers: {away}") from None
    ruled = {"service": service, "method": method, "state": arguments["state"], "everywhere_within": LOOK_SECONDS}
    return plain_json(ruled)
