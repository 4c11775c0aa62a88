"""The breakers before the services, to be seen and to be held open or closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sanic import HTTPResponse

from edge.answers import plain_json
from edge.exchange import Exchange
from edge.problems import Rejected
from edge.rpc.failures import NotExecuted
from edge.rpc.rulings import LOOK_SECONDS, RulingsAway
from edge.targets.rpc import arguments_of
from shared.contracts import cart, catalog, identity, notification, order
from shared.contracts.refusals import InvalidRequest

if TYPE_CHECKING:
    from edge.upstreams.policy import HttpPolicy

METHODS = {part.METHODS.service: part.METHODS for part in (identity, catalog, cart, order, notification)}


async def show_breakers(exchange: Exchange) -> HTTPResponse:
    """Per service and method, or route: breaker state, reason and what is in flight, as this worker sees it."""
    arguments_of(exchange)
    collaborators = exchange.equipment.collaborators
    shown: dict[str, dict[str, Any]] = dict(collaborators.health.services())
    for service, routes in _http_services(exchange).items():
        told = {route: collaborators.upstreams.way(route, policy).told() for route, policy in routes.items()}
        shown[service] = {**shown.get(service, {}), "routes": told}
    return plain_json(shown)


def _http_services(exchange: Exchange) -> dict[str, dict[str, HttpPolicy]]:
    """Those that this table leads to: by service, the policies of the routes there."""
    found: dict[str, dict[str, HttpPolicy]] = {}
    for route in exchange.snapshot.table.routes:
        for name, policy in route.http_policies.items():
            found.setdefault(policy.service, {})[name] = policy
    return found


async def set_breaker(exchange: Exchange) -> HTTPResponse:
    """Hold a service's breakers, or one's, open or closed on every worker; or let them decide again."""
    arguments = arguments_of(exchange)
    service, method, route = arguments["service"], arguments.get("method"), arguments.get("route")
    methods, routes = METHODS.get(service, ()), _http_services(exchange).get(service, {})
    is_lifted = arguments["state"] == "automatic"  # also what held a route that no table has any more
    if not methods and not routes and not is_lifted:
        raise Rejected("route.not_found", "There is no such service.")
    if method is not None and method not in methods:
        raise InvalidRequest(errors=[{"pointer": "/method", "detail": "The service has no such method."}])
    if route is not None and (method is not None or (route not in routes and not is_lifted)):
        raise InvalidRequest(errors=[{"pointer": "/route", "detail": "This is no route to the service."}])
    rulings = exchange.equipment.collaborators.rulings
    if rulings is None:
        raise NotExecuted("this edge keeps no rulings")
    try:
        await rulings.hold(service, method or route, arguments["state"])
    except RulingsAway as away:
        raise NotExecuted(f"a ruling would not reach the other workers: {away}") from None
    ruled = {"service": service, "method": method, "route": route, "state": arguments["state"]}
    return plain_json({**ruled, "everywhere_within": LOOK_SECONDS})
