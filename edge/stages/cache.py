"""Answers from what is kept, where the route allows it; the rest of the way is for what is not."""

from __future__ import annotations

from sanic import HTTPResponse

from edge.cache.entries import FRESH
from edge.cache.flights import Asked
from edge.cache.plan import plan_of
from edge.composing import for_each, only_for
from edge.exchange import Exchange, Stage, Target
from edge.routes import Route

BYPASS = "kirana; fwd=bypass"


@only_for(lambda route: route.policy.cache is not None)
@for_each
def cache(route: Route) -> Stage:
    """A fresh answer in this worker's memory is given at once: nothing is awaited, and nobody asked."""
    plan = plan_of(route.policy)

    async def cached(exchange: Exchange, proceed: Target) -> HTTPResponse:
        kept = exchange.equipment.collaborators.cache
        key = plan.key_of(exchange)
        if key is None:
            kept.tallies[plan.route].bypass += 1
            response = await proceed(exchange)
            response.headers["cache-status"] = BYPASS
            return response
        held = kept.local.get(key)
        if held is not None and (now := kept.monotonic()) < held.fresh_until:
            kept.tallies[plan.route].hit += 1
            return held.response(exchange, now, FRESH)
        return await kept.answer(Asked(exchange, proceed, plan, key))

    return cached
