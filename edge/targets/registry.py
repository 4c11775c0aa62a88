"""The hand-written targets by the names under which the route table knows them."""

from __future__ import annotations

from edge.exchange import Target
from edge.policies import LocalTarget
from edge.targets.administration import show_routes
from edge.targets.breakers import set_breaker, show_breakers
from edge.targets.caches import purge_cache
from edge.targets.configuration import put_config
from edge.targets.health import alive, ready, serving
from edge.targets.oauth import grant_token, oauth_metadata
from edge.targets.pages import docs, docs_asset, openapi, problem_page, problems, redoc
from edge.targets.session import log_in, log_out
from edge.targets.status import status, status_json

LOCAL_TARGETS: dict[LocalTarget, Target] = {
    "log_in": log_in,
    "log_out": log_out,
    "grant_token": grant_token,
    "oauth_metadata": oauth_metadata,
    "alive": alive,
    "serving": serving,
    "ready": ready,
    "openapi": openapi,
    "docs": docs,
    "docs_asset": docs_asset,
    "problem_page": problem_page,
    "redoc": redoc,
    "problems": problems,
    "status": status,
    "status_json": status_json,
    "show_routes": show_routes,
    "put_config": put_config,
    "show_breakers": show_breakers,
    "set_breaker": set_breaker,
    "purge_cache": purge_cache,
}
