"""Lets in as many as can be served well; the others are told so at once, before anything was done for them."""

from __future__ import annotations

from typing import Any

from sanic import HTTPResponse, Request

from edge.admission.priorities import priority_of, upstream_of
from edge.admission.refusal import SHED, refusal
from edge.composing import for_each
from edge.exchange import Exchange, Stage, Target
from edge.routes import Route
from shared.contracts.refusals import Unavailable


@for_each
def admit(route: Route) -> Stage:
    """A place is held from here to the answer, except while a body is awaited: slow senders take nobody's place."""
    kind, upstream, priority = route.policy.name, upstream_of(route.policy), priority_of(route.policy)
    shed = SHED.format(upstream=upstream)

    async def admit(exchange: Exchange, proceed: Target) -> HTTPResponse:
        admission = exchange.equipment.collaborators.admission
        limit = admission.limit_of(upstream)
        is_late = _lacks_body(exchange.request)
        if not limit.admits(priority):
            admission.crowd()
            exchange.problem, exchange.reason = Unavailable.code, shed
            return refusal(exchange.request.path, exchange.request_id, closing=is_late)
        if is_late:
            exchange.place = limit  # limit_body takes it when the body is there
        else:
            limit.enter()
        try:
            return await proceed(exchange)
        finally:
            if exchange.place is None:
                limit.leave(kind, exchange.rpc_seconds)

    return admit


def _lacks_body(request: Request) -> bool:
    stream: Any = request.stream
    left = stream.request_bytes_left if stream is not None else 0
    return bool(left) and len(stream.recv_buffer) < left
