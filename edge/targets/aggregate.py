"""The target of routes that ask several services: one answer, with what is missing named in it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sanic import HTTPResponse

from edge.aggregate.gathering import gather_parts
from edge.aggregate.http_part import HttpFetch
from edge.aggregate.parts import Declined, Part
from edge.aggregate.shapes import NAMED, REFUSED, UNAVAILABLE
from edge.answers import plain_json, respond
from edge.callables import method_named
from edge.exchange import Exchange
from edge.targets.rpc import arguments_of, ask

if TYPE_CHECKING:
    from edge.aggregate.policy import AggregatePolicy, PartPolicy
    from edge.routes import Route


class AggregateTarget:
    """Serves one route, with everything prepared that the table alone decides."""

    def __init__(self, route: Route, policy: AggregatePolicy) -> None:
        self._parts = [_made(route, part) for part in policy.parts]

    async def __call__(self, exchange: Exchange) -> HTTPResponse:
        """Look at all arguments before anybody is asked, ask, and put together what came."""
        arguments = arguments_of(exchange)
        began = time.perf_counter()
        try:
            outcomes = await gather_parts(self._parts, exchange, arguments)
        except Declined as declined:
            return declined.response
        finally:
            exchange.rpc_seconds += time.perf_counter() - began
        pairs = list(zip(self._parts, outcomes, strict=True))
        answer: dict[str, Any] = {part.policy.name: outcome.value for part, outcome in pairs}
        for kind in NAMED:
            answer[kind] = [part.policy.name for part, outcome in pairs if outcome.kind == kind]
        if answer[UNAVAILABLE] or answer[REFUSED]:  # a no may be about this moment, too: nobody else is given it
            return plain_json(answer)
        return respond(exchange, answer)


def _made(route: Route, policy: PartPolicy) -> Part:
    name = route.policy.name
    if policy.http is not None:
        return Part(name, policy, HttpFetch(route, policy, policy.http))
    method = method_named(str(policy.call))

    async def fetch_by_rpc(exchange: Exchange, arguments: dict[str, Any]) -> Any:
        return (await ask(exchange, method, arguments)).result

    return Part(name, policy, fetch_by_rpc)
