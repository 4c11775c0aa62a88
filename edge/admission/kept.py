"""What is given to a reader who finds no place: a page that this worker keeps, if there is one that they may see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.admission.refusal import DETAIL
from edge.cache.plan import plan_of
from edge.composing import compose, needed
from edge.problems import Rejected
from edge.stages.authenticate import authenticate, recognized
from edge.stages.authorize import authorize
from edge.stages.limit_rate import limit_rate_by_address, limit_rate_by_caller
from edge.stages.transform import transform
from shared.contracts.refusals import Unavailable

if TYPE_CHECKING:
    from sanic import HTTPResponse

    from edge.exchange import Exchange, Stage
    from edge.policies import RoutePolicy
    from edge.routes import Route

WAY: tuple[Stage, ...] = (limit_rate_by_address, authenticate, authorize, limit_rate_by_caller, transform)
"""What stands before a kept page also for whoever has no place: it is no way round limits or tokens."""


def may_stand_in(policy: RoutePolicy) -> bool:
    """Whether kept pages of this route may be given. What a plugin would say, and at what price, nobody knows."""
    return policy.cache is not None and not policy.plugins


class KeptPages:
    """Those of one route. Nobody is asked for them, no place is taken, and nothing is fetched anew."""

    def __init__(self, route: Route) -> None:
        self._plan = plan_of(route.policy)
        self._way = compose(needed(WAY, route), self._give)

    def has_one_for(self, exchange: Exchange) -> bool:
        """Whether there is one for this caller. Who must first be found out about gets none: that would cost more."""
        caller = recognized(exchange)
        is_stranger = caller is None and exchange.matched.policy.auth != "none"
        if is_stranger and "authorization" in exchange.request.headers:
            return False
        exchange.caller = caller
        key = self._plan.key_of(exchange)
        return key is not None and exchange.equipment.collaborators.cache.backup(key) is not None

    async def give(self, exchange: Exchange) -> HTTPResponse:
        """The page. Raises what the stages before it do, and ``Rejected`` if it was purged meanwhile."""
        return await self._way(exchange)

    async def _give(self, exchange: Exchange) -> HTTPResponse:
        response = exchange.equipment.collaborators.cache.at_hand(exchange, self._plan)
        if response is None:
            raise Rejected(Unavailable.code, DETAIL, retry_after=1)
        return response
