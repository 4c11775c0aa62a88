"""What an administrator may see of the edge: the routes in force."""

from __future__ import annotations

from sanic import HTTPResponse

from edge.answers import plain_json
from edge.exchange import Exchange
from edge.targets.rpc import arguments_of


async def show_routes(exchange: Exchange) -> HTTPResponse:
    """The table in force, with one line per route in its order, and the one that was refused, if there is one."""
    arguments_of(exchange)
    table = exchange.snapshot.table
    lines = [
        {
            "name": route.policy.name,
            "method": route.policy.method,
            "path": route.policy.path,
            "target": route.target_name,
            "auth": route.policy.auth,
            "scopes": route.policy.scopes,
        }
        for route in table.routes
    ]
    return plain_json({**exchange.equipment.live.state(exchange.snapshot), "routes": lines, "text": table.text})
