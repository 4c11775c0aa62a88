"""Lets in as many as can be served well; the others are given a kept page, or told so at once."""

from __future__ import annotations

from typing import Any

from sanic import HTTPResponse, Request

from edge.admission.kept import KeptPages, may_stand_in
from edge.admission.priorities import priority_of, upstream_of
from edge.admission.refusal import SHED, STOOD_IN, refusal
from edge.composing import for_each
from edge.exchange import Exchange, Stage, Target
from edge.routes import Route
from shared.contracts.refusals import Unavailable


@for_each
def admit(route: Route) -> Stage:
    """A place is held from here to the answer, except while a body is awaited: slow senders take nobody's place.

    Who has waited for a body needs a place like anybody else then: there may be none any more.
    """
    kind, upstream, priority = route.policy.name, upstream_of(route.policy), priority_of(route.policy)
    shed, stood_in = SHED.format(upstream=upstream), STOOD_IN.format(upstream=upstream)
    kept = KeptPages(route) if may_stand_in(route.policy) else None

    async def admit(exchange: Exchange, proceed: Target) -> HTTPResponse:
        admission = exchange.equipment.collaborators.admission
        limit = admission.limit_of(upstream)
        is_late = _lacks_body(exchange.request)
        if not limit.admits(priority):
            admission.crowd()
            if kept is not None and not is_late and not admission.is_lagging and kept.has_one_for(exchange):
                exchange.reason = stood_in
                return await kept.give(exchange)
            exchange.problem, exchange.reason = Unavailable.code, shed
            return refusal(exchange.request.path, exchange.request_id, closing=is_late)
        if is_late:
            exchange.place = limit  # limit_body sees to it when the body is there
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
