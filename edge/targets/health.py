"""Health for those who send traffic here.

Alive says that the process runs, serving that it is meant to be sent requests, ready that the shop can be served, too.
"""

from __future__ import annotations

import msgspec
from sanic import HTTPResponse

from edge.answers import plain_json
from edge.exchange import Exchange
from edge.problems import Rejected
from edge.targets.declared import State
from edge.targets.rpc import arguments_of


async def alive(exchange: Exchange) -> HTTPResponse:
    """This process answers; nothing else is asked, so that a sick dependency never restarts a healthy edge."""
    arguments_of(exchange)
    return plain_json(msgspec.to_builtins(State(status="alive", dependencies={})))


async def serving(exchange: Exchange) -> HTTPResponse:
    """503 while this process leaves, or an operator has taken it out; what is wrong elsewhere counts for nothing."""
    arguments_of(exchange)
    if exchange.equipment.collaborators.health.is_out:
        raise Rejected("service.unavailable", "This process takes no requests now: others do.")
    return plain_json(msgspec.to_builtins(State(status="serving", dependencies={})))


async def ready(exchange: Exchange) -> HTTPResponse:
    """200 while the shop can serve, degraded or not; 503 with what is missing when it cannot."""
    arguments_of(exchange)
    state = await exchange.equipment.readiness.look()
    if state.status == "down":
        raise Rejected("service.unavailable", "The shop cannot be served from here.", dependencies=state.dependencies)
    return plain_json(msgspec.to_builtins(state))
