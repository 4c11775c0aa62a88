"""The hand-written targets by the names under which the route table knows them."""

from __future__ import annotations

from edge.exchange import Target
from edge.policies import LocalTarget
from edge.targets.administration import show_breakers, show_routes
from edge.targets.health import alive, ready
from edge.targets.pages import docs, docs_asset, openapi, problem_page
from edge.targets.session import log_in, log_out

LOCAL_TARGETS: dict[LocalTarget, Target] = {
    "log_in": log_in,
    "log_out": log_out,
    "alive": alive,
    "ready": ready,
    "openapi": openapi,
    "docs": docs,
    "docs_asset": docs_asset,
    "problem_page": problem_page,
    "show_routes": show_routes,
    "show_breakers": show_breakers,
}
