"""What an administrator may see of the edge: the routes in force and the breakers before the services."""

from __future__ import annotations

from sanic import HTTPResponse

from edge.answers import plain_json
from edge.exchange import Exchange
from edge.targets.rpc import arguments_of


async def show_routes(exchange: Exchange) -> HTTPResponse:
    """One line per route, in the table's order."""
    arguments_of(exchange)
    policies = [route.policy for route in exchange.equipment.table.routes]
    return plain_json(
        [
            {
                "name": policy.name,
                "method": policy.method,
                "path": policy.path,
                "target": policy.call or f"local.{policy.local}",
                "auth": policy.auth,
                "scopes": policy.scopes,
            }
            for policy in policies
        ]
    )


async def show_breakers(exchange: Exchange) -> HTTPResponse:
    """Per service: breaker state and what is in flight, as this worker sees it."""
    arguments_of(exchange)
    return plain_json(exchange.equipment.collaborators.health.services())
