"""In which order a request is treated: the stages, outermost first, and how they are put together."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

from sanic import HTTPResponse, Request
from sanic.http.http1 import Http

from edge.addresses import Networks, Proxies
from edge.admission.doorstep import Doorstep
from edge.application import Application
from edge.collaborators import Collaborators
from edge.composing import compose, composer, needed
from edge.cursors import Cursors
from edge.exchange import Equipment, Exchange, Stage, Target
from edge.live.current import LiveRoutes
from edge.openapi import describe
from edge.readiness import Readiness
from edge.reception import reception_of
from edge.routes import NotRouted, Route, RouteTable, with_health
from edge.snapshot import Origin, Snapshot, Version, hash_of
from edge.stages.admit import admit
from edge.stages.authenticate import authenticate
from edge.stages.authorize import authorize
from edge.stages.bound_time import bound_time
from edge.stages.cache import cache
from edge.stages.correlate import correlate
from edge.stages.decline_conditions import decline_conditions
from edge.stages.harden import harden
from edge.stages.limit_body import limit_body
from edge.stages.limit_rate import limit_rate_by_address, limit_rate_by_caller, limit_rate_of_unrouted
from edge.stages.log_access import log_access
from edge.stages.plugins import plugins_around_target, plugins_before_authenticate
from edge.stages.replay import replay
from edge.stages.restrict import restrict
from edge.stages.transform import transform
from edge.stages.translate_errors import translate_errors
from edge.status.picture import picture
from edge.status.siblings import Together
from edge.targets.aggregate import AggregateTarget
from edge.targets.failed import failed
from edge.targets.http import HttpTarget
from edge.targets.registry import LOCAL_TARGETS
from edge.targets.rpc import call_service
from edge.targets.unrouted import unrouted
from edge.tokens import Verifier
from edge.upstreams.delivery import Delivered

STAGES: tuple[Stage, ...] = (
    correlate,
    log_access,
    harden,
    translate_errors,
    restrict,
    admit,
    bound_time,
    limit_body,
    limit_rate_by_address,
    plugins_before_authenticate,
    authenticate,
    authorize,
    limit_rate_by_caller,
    decline_conditions,
    replay,
    plugins_around_target,
    transform,
    cache,
)
ON_EVERY_REQUEST = STAGES[: STAGES.index(restrict) + 1]
_everywhere = composer(ON_EVERY_REQUEST)
_astray = composer((*ON_EVERY_REQUEST, limit_rate_of_unrouted))


def snapshot_of(table: RouteTable, origin: Origin) -> Snapshot:
    """The table with everything that can be made of it beforehand: one way per route, and its description."""
    table = with_health(table)
    return Snapshot(
        table=table,
        ways={route.policy.name: compose(needed(STAGES, route), _target(route)) for route in table.routes},
        openapi=describe(table),
        version=Version(hash=hash_of(table.text), origin=origin, since=datetime.now(UTC)),
    )


def install(app: Application, table: RouteTable, collaborators: Collaborators) -> LiveRoutes:
    """Make ``app`` serve the table, until another is swapped in through what this gives back."""
    live = LiveRoutes(snapshot_of(table, "file"), compiling=snapshot_of)
    equipment = equip(live, collaborators)
    edge = Edge(equipment)
    reception_of(app).doorkeeper = Doorstep(equipment)

    async def serve(request: Request) -> HTTPResponse | None:
        response = await edge.serve(request)
        if not isinstance(response, Delivered):
            return response
        await response.deliver(request)
        return None

    app.handler = serve
    app.error_handler.add(Exception, edge.serve_failure)
    return live


def equip(live: LiveRoutes, collaborators: Collaborators) -> Equipment:
    """What the stages and targets work with."""
    settings = collaborators.settings
    return Equipment(
        collaborators=collaborators,
        live=live,
        verifier=Verifier(
            keys=collaborators.keys,
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
            now=lambda: collaborators.clock().timestamp(),
            revocations=collaborators.revocations,
            secret=settings.cursor_secret,
            redis=collaborators.redis,
        ),
        limiter=collaborators.limiter,
        proxies=Proxies(Networks(settings.trusted_proxies)),
        denied=Networks(settings.denied),
        cursors=Cursors(settings.cursor_secret),
        readiness=Readiness(collaborators),
        together=Together(lambda: picture(collaborators, live), settings),
    )


class Edge:
    """Takes each request through the stages that its route needs."""

    def __init__(self, equipment: Equipment) -> None:
        self._equipment = equipment
        self._live = equipment.live

    async def serve(self, request: Request) -> HTTPResponse:
        """Serve one request by the table that is in force as it comes."""
        snapshot = self._live.snapshot
        found, variables = snapshot.table.find(request.method, request.path)
        exchange = Exchange(request=request, equipment=self._equipment, snapshot=snapshot, variables=variables)
        if isinstance(found, NotRouted):
            way = _astray(unrouted(found))
        else:
            exchange.route = found
            way = snapshot.ways[found.policy.name]
        return _closing(request, await way(exchange))

    async def serve_failure(self, request: Request, fault: Exception) -> HTTPResponse:
        """Answer what went wrong before or after the stages: framing, a fault of our own."""
        exchange = Exchange(request=request, equipment=self._equipment, snapshot=self._live.snapshot)
        return _closing(request, await _everywhere(failed(fault))(exchange))


def _target(route: Route) -> Target:
    if route.policy.http is not None:
        return HttpTarget(route, route.policy.http)
    if route.policy.aggregate is not None:
        return AggregateTarget(route, route.policy.aggregate)
    return LOCAL_TARGETS[route.policy.local] if route.policy.local else call_service


def _closing(request: Request, response: HTTPResponse) -> HTTPResponse:
    """Where the answer says so, the connection ends with it: what is left of the body is not waited for."""
    if response.headers.get("connection") == "close" and request.stream is not None:
        stream = cast("Http", request.stream)
        stream.keep_alive = False
        stream.request_body = None
    return response
