"""Turns readers away before anything is made of their requests, while there is no room for them at all.

A refusal must cost a twentieth of the read that it spares, and the way through framework and stages costs a sixth.
"""

from __future__ import annotations

import time
from time import monotonic
from typing import TYPE_CHECKING

import structlog

from edge.admission.priorities import priority_of, upstream_of
from edge.admission.refusal import SHED, refused_body, seconds_to_wait
from edge.cors import cors_headers
from edge.heads import fields_of, head_of
from edge.problems import MEDIA_TYPE
from edge.routes import NotRouted
from edge.stages.harden import HEADERS
from shared.contracts.refusals import Unavailable
from shared.tracing.spans import begin
from shared.values.identifiers import is_sane_token, new_id

if TYPE_CHECKING:
    from edge.collaborators import Collaborators
    from edge.framing import Header
    from edge.live.current import LiveRoutes
    from edge.snapshot import Snapshot
    from shared.resilience.adaptive import AdaptiveLimit, Priority

log = structlog.get_logger()

STATUS = 503
_HEAD = head_of(STATUS, {**HEADERS, "content-type": MEDIA_TYPE, "connection": "keep-alive"}.items())[:-2]


class Doorstep:
    """One per worker. Looks at heads only while somebody was refused within the last moments.

    What it does not turn away takes the usual way, where the stage ``admit`` has the last word.
    """

    def __init__(self, live: LiveRoutes, collaborators: Collaborators) -> None:
        self._live = live
        self._admission = collaborators.admission
        self._sight = collaborators.sight
        self._origins = collaborators.settings.cors_origins
        self._snapshot: Snapshot | None = None
        self._doors: dict[str, tuple[str, AdaptiveLimit, Priority]] = {}

    @property
    def is_watched(self) -> bool:
        """Whether there is any use in looking."""
        return monotonic() < self._admission.crowded_until

    def turn_away(self, method: str, target: str, header: Header) -> bytes | None:
        """The whole answer to a request without a body for which there is no room; ``None`` for any other."""
        if method != "GET" or header.length or not header.keep_alive:
            return None
        began = time.perf_counter()
        path = target.partition("?")[0]
        snapshot = self._live.snapshot
        found, _ = snapshot.table.find(method, path)
        if isinstance(found, NotRouted):
            return None
        upstream, limit, priority = self._door(snapshot, found.policy.name)
        if limit.admits(priority):
            return None
        self._admission.crowd()
        fields = dict(header.fields)
        offered = fields.get("x-request-id")
        request_id = offered if offered is not None and is_sane_token(offered) else new_id()
        span = begin(fields.get("traceparent"))
        answer = self._answer(path, request_id, span.traceparent, fields.get("origin"))
        seconds = time.perf_counter() - began
        self._sight.history.note(STATUS, seconds, began + seconds)
        self._sight.traffic.note(found.policy.name, method, STATUS, seconds)
        log.warning(
            "http.request",
            route=found.policy.name,
            routes=snapshot.version.hash,
            code=Unavailable.code,
            reason=SHED.format(upstream=upstream),
            **{
                "http.request.id": request_id,
                "trace.id": span.trace_id,
                "span.id": span.span_id,
                "http.request.method": method,
                "url.path": path,
                "http.response.status_code": STATUS,
                "event.duration": int(seconds * 1_000_000_000),
                "event.outcome": "failure",
            },
        )
        return answer

    def _door(self, snapshot: Snapshot, route: str) -> tuple[str, AdaptiveLimit, Priority]:
        """Whose places a route needs, and how much it matters: looked up once per table."""
        if snapshot is not self._snapshot:
            self._snapshot = snapshot
            self._doors = {
                each.policy.name: (
                    upstream_of(each.policy),
                    self._admission.limit_of(upstream_of(each.policy)),
                    priority_of(each.policy),
                )
                for each in snapshot.table.routes
            }
        return self._doors[route]

    def _answer(self, path: str, request_id: str, traceparent: str, origin: str | None) -> bytes:
        body = refused_body(path, request_id)
        fields = {
            **cors_headers(origin, self._origins),
            "retry-after": seconds_to_wait(),
            "x-request-id": request_id,
            "server-timing": f'edge;dur=0.0, rpc;dur=0.0, traceparent;desc="{traceparent}"',
            "content-length": len(body),
        }
        return b"".join((_HEAD, fields_of(fields.items()), body))
