"""In which order a request is treated: the stages, outermost first, and how they are put together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

from sanic import HTTPResponse, Request, Sanic
from sanic.http.http1 import Http

from edge.collaborators import Collaborators
from edge.cursors import Cursors
from edge.exchange import Equipment, Exchange, Stage, Target
from edge.limits import Limiter, RedisWindows
from edge.openapi import describe
from edge.readiness import Readiness
from edge.routes import NotRouted, Route, RouteTable
from edge.stages.authenticate import authenticate
from edge.stages.authorize import authorize
from edge.stages.bound_time import bound_time
from edge.stages.correlate import correlate
from edge.stages.harden import harden
from edge.stages.limit_body import limit_body
from edge.stages.limit_rate import limit_rate_by_address, limit_rate_by_caller
from edge.stages.log_access import log_access
from edge.stages.replay import replay
from edge.stages.translate_errors import translate_errors
from edge.targets.failed import failed
from edge.targets.registry import LOCAL_TARGETS
from edge.targets.rpc import call_service
from edge.targets.unrouted import unrouted
from edge.tokens import Verifier

STAGES: tuple[Stage, ...] = (
    correlate,
    log_access,
    harden,
    translate_errors,
    bound_time,
    limit_body,
    limit_rate_by_address,
    authenticate,
    authorize,
    limit_rate_by_caller,
    replay,
)
ON_EVERY_REQUEST = STAGES[: STAGES.index(translate_errors) + 1]
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def compose(stages: Sequence[Stage], target: Target) -> Target:
    """One callable that sends a request through the stages in order, then to the target."""
    for stage in reversed(stages):
        target = partial(_through, stage, target)
    return target


def install(app: Sanic[Any, Any], table: RouteTable, collaborators: Collaborators) -> None:
    """Make ``app`` serve the table. Sanic's own router only hands everything over: the table is the router."""
    edge = Edge(equip(table, collaborators))

    async def serve(request: Request, path: str = "") -> HTTPResponse:
        del path  # Sanic's reading of it; the table has its own
        return await edge.serve(request)

    for name, path in (("root", "/"), ("anywhere", "/<path:path>")):
        app.add_route(serve, path, methods=METHODS, stream=True, name=name)
    app.error_handler.add(Exception, edge.serve_failure)


def equip(table: RouteTable, collaborators: Collaborators) -> Equipment:
    """What the stages and targets work with."""
    settings = collaborators.settings
    return Equipment(
        collaborators=collaborators,
        table=table,
        verifier=Verifier(
            keys=collaborators.keys,
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
            now=lambda: collaborators.clock().timestamp(),
        ),
        limiter=Limiter(RedisWindows(collaborators.redis), scale=settings.rate_scale),
        cursors=Cursors(settings.cursor_secret),
        readiness=Readiness(collaborators),
        openapi=describe(table),
    )


class Edge:
    """Takes each request through the stages that its route needs."""

    def __init__(self, equipment: Equipment) -> None:
        self._equipment = equipment
        self._ways = {route.policy.name: compose(STAGES, _target(route)) for route in equipment.table.routes}

    async def serve(self, request: Request) -> HTTPResponse:
        """Serve one request."""
        found, variables = self._equipment.table.find(request.method, request.path)
        exchange = Exchange(request=request, equipment=self._equipment, variables=variables)
        if isinstance(found, NotRouted):
            way = compose(ON_EVERY_REQUEST, unrouted(found))
        else:
            exchange.route = found
            way = self._ways[found.policy.name]
        return _closing(request, await way(exchange))

    async def serve_failure(self, request: Request, fault: Exception) -> HTTPResponse:
        """Answer what went wrong before or after the stages: framing, an unknown method, a fault of our own."""
        if getattr(fault, "status_code", 0) in {404, 405}:
            return await self.serve(request)
        exchange = Exchange(request=request, equipment=self._equipment)
        return _closing(request, await compose(ON_EVERY_REQUEST, failed(fault))(exchange))


def _target(route: Route) -> Target:
    return LOCAL_TARGETS[route.policy.local] if route.policy.local else call_service


async def _through(stage: Stage, proceed: Target, exchange: Exchange) -> HTTPResponse:
    return await stage(exchange, proceed)


def _closing(request: Request, response: HTTPResponse) -> HTTPResponse:
    """Where the answer says so, the connection ends with it: what is left of the body is not waited for."""
    if response.headers.get("connection") == "close" and request.stream is not None:
        stream = cast("Http", request.stream)
        stream.keep_alive = False
        stream.request_body = None
    return response
