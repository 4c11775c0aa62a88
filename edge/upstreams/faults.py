"""What is wrong with the ``http`` words of a route."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.policies import RoutePolicy, Table
    from edge.upstreams.policy import HttpPolicy, Versions

ITSELF = "edge"
VARIABLE = re.compile(r"\{([a-z_]+)\}")


def http_faults(policy: RoutePolicy, table: Table) -> Iterator[str]:
    """Words that contradict each other, or the rest of the route."""
    del table
    http = policy.http
    if http is None:
        return
    yield from _path_faults(policy, http)
    yield from _balance_faults(policy, http)
    yield from _rest_faults(policy, http)
    yield from _cache_faults(policy, http)
    if http.versions is not None:
        yield from _version_faults(policy, http.versions)


def _path_faults(policy: RoutePolicy, http: HttpPolicy) -> Iterator[str]:
    known = set(VARIABLE.findall(policy.path))
    path = http.path or policy.path
    used = VARIABLE.findall(path)
    for name in used:
        if name not in known:
            yield f"/http/path: there is no variable '{name}' in the route's path"
    for name in sorted(known - set(used)):
        yield f"/http/path: path variable '{name}' leads nowhere"
    if set(VARIABLE.sub("", path)) & set("{}") or {"..", "."} & set(path.split("/")):
        yield "/http/path: this is no template of a path"


def _balance_faults(policy: RoutePolicy, http: HttpPolicy) -> Iterator[str]:
    if (http.balance == "hash") != (http.hash is not None):
        yield "/http/hash: 'balance: hash' needs it, and only that"
    if http.hash == "caller" and policy.auth == "none":
        yield "/http/hash: without auth nobody is known to hash by"
    if http.ejection.longest < http.ejection.first:
        yield "/http/ejection/longest: this is shorter than the first time"
    if http.breaker.slow is not None and http.breaker.slow.seconds >= policy.deadline:
        yield "/http/breaker/slow/seconds: by then the route's deadline has passed"


def _rest_faults(policy: RoutePolicy, http: HttpPolicy) -> Iterator[str]:
    if http.service == ITSELF:
        yield "/http/service: the edge would ask itself"
    if policy.arguments:
        yield "/arguments: a service that speaks HTTP gets the request itself"
    if policy.method == "GET" and policy.idempotency != "none":
        yield "/idempotency: a GET changes nothing"
    if http.websocket and policy.method != "GET":
        yield "/http/websocket: a WebSocket begins with a GET"
    if http.websocket and "cookie" in http.credentials:
        yield "/http/websocket: with a cookie any other page could open it in its visitor's name"
    if "authorization" in http.credentials and policy.auth == "none":
        yield "/http/credentials: a token that nobody has checked is not passed on"


def _cache_faults(policy: RoutePolicy, http: HttpPolicy) -> Iterator[str]:
    if policy.cache is None:
        return
    if http.websocket:
        yield "/cache: a WebSocket cannot be kept"
    if http.versions is not None:
        yield "/cache: what one version answers is not for those of another"
    if http.credentials:
        yield "/cache: what is answered to a caller's own credentials cannot be kept"
    if http.hash is not None and not (http.hash == "caller" and policy.cache.private):
        yield (
            "/http/hash: what is kept is fetched without the client's headers, address and name, so all fetches would "
            "lead to one instance: take another balance, or no cache"
        )


def _version_faults(policy: RoutePolicy, versions: Versions) -> Iterator[str]:
    if not any(versions.split.values()):
        yield "/http/versions/split: no version has a share"
    for name in versions.header.values.values() if versions.header else ():
        if name not in versions.split:
            yield f"/http/versions/header: there is no version '{name}' in the split"
    if versions.sticky == "caller" and policy.auth == "none":
        yield "/http/versions/sticky: without auth nobody is known to stay with"
