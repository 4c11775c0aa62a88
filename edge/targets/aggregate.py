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

OF_ONE_PART = frozenset(
    {
        "etag", "last-modified", "age", "expires", "pragma", "surrogate-control", "cache-status", "accept-ranges",
        "content-location", "set-cookie", "clear-site-data",
    }
)  # fmt: skip
"""What a service says of its own address, its own answer's life and its own clients: none of that is the whole's."""


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
            return _for_the_whole(declined.response)
        finally:
            exchange.rpc_seconds += time.perf_counter() - began
        pairs = list(zip(self._parts, outcomes, strict=True))
        answer: dict[str, Any] = {part.policy.name: outcome.value for part, outcome in pairs}
        for kind in NAMED:
            answer[kind] = [part.policy.name for part, outcome in pairs if outcome.kind == kind]
        if answer[UNAVAILABLE] or answer[REFUSED]:  # a no may be about this moment, too: nobody else is given it
            return plain_json(answer)
        return respond(exchange, answer)


def _for_the_whole(refusal: HTTPResponse) -> HTTPResponse:
    """A part's no as the whole answer: nobody keeps it, nor asks whether it has changed."""
    headers = refusal.headers
    for name in {name.lower() for name in headers}:
        if name in OF_ONE_PART or name.endswith("cache-control"):  # shared caches have their own
            headers.popall(name)
    headers["cache-control"] = "no-store"
    return refusal


def _made(route: Route, policy: PartPolicy) -> Part:
    name = route.policy.name
    if policy.http is not None:
        return Part(name, policy, HttpFetch(route, policy, policy.http))
    method = method_named(str(policy.call))

    async def fetch_by_rpc(exchange: Exchange, arguments: dict[str, Any]) -> Any:
        return (await ask(exchange, method, arguments)).result

    return Part(name, policy, fetch_by_rpc)
