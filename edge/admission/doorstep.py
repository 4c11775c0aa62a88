"""Turns readers away before anything is made of their requests, while there is no room for them at all.

A refusal must cost a twentieth of the read that it spares, and the way through framework and stages costs a sixth.
"""

from __future__ import annotations

import asyncio
import time
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

import structlog

from edge.admission.kept import may_stand_in
from edge.admission.priorities import priority_of, upstream_of
from edge.admission.refusal import SHED, refused_body, seconds_to_wait
from edge.cache.plan import plan_of
from edge.cors import cors_headers
from edge.heads import date_line, fields_of, head_of
from edge.problems import MEDIA_TYPE
from edge.routes import NotRouted
from edge.stages.authenticate import known_by
from edge.stages.harden import HEADERS
from edge.stages.log_access import NOT_COUNTED
from shared.contracts.refusals import Unavailable
from shared.values.identifiers import is_sane_token, new_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge.cache.plan import Plan
    from edge.exchange import Equipment
    from edge.framing import Header
    from edge.policies import RoutePolicy
    from edge.routes import Route
    from edge.snapshot import Snapshot, Version
    from shared.resilience.adaptive import AdaptiveLimit, Priority

log = structlog.get_logger()

STATUS = 503
OF_ALL = {"content-type": MEDIA_TYPE, "connection": "keep-alive", "server-timing": "edge;dur=0.0, rpc;dur=0.0"}
_HEAD = head_of(STATUS, {**HEADERS, **OF_ALL}.items())[:-2]


class Pages(NamedTuple):
    """What is kept of a route's answers. ``by_caller``: tokens are looked at, as who calls may matter."""

    plan: Plan
    by_caller: bool


class Door(NamedTuple):
    """Whose places a route needs, how much it matters, and whether kept pages may stand in."""

    upstream: str
    limit: AdaptiveLimit
    priority: Priority
    pages: Pages | None


class Doorstep:
    """One per worker. Looks at heads only while somebody was refused within the last moments.

    What it does not turn away takes the usual way, where the stage ``admit`` has the last word: so does who may be
    given a kept page, for limits must be asked about, which nobody can wait for here. While the worker itself has too
    much to do, they are turned away, too.
    """

    def __init__(self, equipment: Equipment) -> None:
        collaborators = equipment.collaborators
        self._live = equipment.live
        self._verifier = equipment.verifier
        self._cache = collaborators.cache
        self._admission = collaborators.admission
        self._sight = collaborators.sight
        self._origins = collaborators.settings.cors_origins
        self._has_denied = bool(collaborators.settings.denied)
        self._version: Version | None = None
        self._doors: dict[str, Door] = {}
        self._untold: dict[tuple[str, str], list[str]] = {}

    @property
    def is_watched(self) -> bool:
        """Whether there is any use in looking."""
        return monotonic() < self._admission.crowded_until

    def turn_away(self, method: str, target: str, header: Header) -> bytes | None:
        """The whole answer to a request without a body for which there is no room; ``None`` for any other."""
        if method != "GET" or header.length or not header.keep_alive:
            return None
        began = time.perf_counter()
        path, _, query = target.partition("?")
        snapshot = self._live.snapshot
        found, variables = snapshot.table.find(method, path)
        if isinstance(found, NotRouted) or self._has_a_say_before(found):
            return None
        door = self._door(snapshot, found.policy.name)
        if door.pages is not None and self._keeps(door.pages, variables, query, header):
            return None
        if door.limit.admits(door.priority):
            return None
        self._admission.crowd()
        offered = _value(header, "x-request-id")
        request_id = offered if offered is not None and is_sane_token(offered) else new_id()
        self._note(found.policy.name, door.upstream, request_id)
        answer = self._answer(path, request_id, _value(header, "origin"))
        ended = time.perf_counter()
        self._sight.history.note(STATUS, ended - began, ended)
        self._sight.traffic.note(found.policy.name, method, STATUS, ended - began)
        return answer

    def _has_a_say_before(self, route: Route) -> bool:
        """Whether somebody may have to be refused for another reason, or must not be counted."""
        return self._has_denied or route.access is not None or route.policy.local in NOT_COUNTED

    def _keeps(self, pages: Pages, variables: Mapping[str, str], query: str, header: Header) -> bool:
        """Whether there is a page that may be given to whoever asks, as far as that is known without waiting."""
        if self._admission.is_lagging:
            return False
        caller = None
        tokens = [value for name, value in header.fields if name == "authorization"] if pages.by_caller else ()
        if tokens and (caller := known_by(tokens, self._verifier)) is None:
            return False
        key = pages.plan.key_for(variables, query, caller)
        return key is not None and self._cache.backup(key) is not None

    def _note(self, route: str, upstream: str, request_id: str) -> None:
        """Those of one turn of the loop and one route share a line, which costs as much as turning one away."""
        if not self._untold:
            asyncio.get_running_loop().call_soon(self._tell)
        self._untold.setdefault((route, upstream), []).append(request_id)

    def _tell(self) -> None:
        untold, self._untold = self._untold, {}
        for (route, upstream), ids in untold.items():
            log.warning(
                "http.request",
                route=route,
                routes=self._live.snapshot.version.hash,
                code=Unavailable.code,
                reason=SHED.format(upstream=upstream),
                requests=len(ids),
                **{
                    "http.request.id": ids if len(ids) > 1 else ids[0],
                    "http.request.method": "GET",
                    "http.response.status_code": STATUS,
                    "event.outcome": "failure",
                },
            )

    def _door(self, snapshot: Snapshot, route: str) -> Door:
        """That of one route: looked up once per table."""
        if snapshot.version is not self._version:  # the snapshot itself must be free to go
            self._version = snapshot.version
            self._doors = {each.policy.name: self._made(each.policy) for each in snapshot.table.routes}
        return self._doors[route]

    def _made(self, policy: RoutePolicy) -> Door:
        upstream = upstream_of(policy)
        pages = Pages(plan_of(policy), by_caller=policy.auth != "none") if may_stand_in(policy) else None
        return Door(upstream, self._admission.limit_of(upstream), priority_of(policy), pages)

    def _answer(self, path: str, request_id: str, origin: str | None) -> bytes:
        body = refused_body(path, request_id)
        fields = [("retry-after", seconds_to_wait()), ("x-request-id", request_id), ("content-length", len(body))]
        if self._origins:
            fields += cors_headers(origin, self._origins).items()
        return b"".join((_HEAD, date_line(), fields_of(fields), body))


def _value(header: Header, name: str) -> str | None:
    """Of several all in one, as ``Exchange.header`` has it."""
    values = [value for known, value in header.fields if known == name]
    return ", ".join(values) if values else None
