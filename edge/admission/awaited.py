"""Places of requests whose bodies come late: none is held while a client sends, and none is asked for without one."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Any

from edge.admission.priorities import priority_of, upstream_of
from edge.admission.refusal import SHED, refusal
from edge.problems import Rejected
from edge.rpc.failures import NotExecuted
from shared.contracts.refusals import Unavailable

if TYPE_CHECKING:
    from sanic import HTTPResponse

    from edge.exchange import Exchange, Target
    from shared.resilience.adaptive import AdaptiveLimit, Priority

LOOK_SECONDS = 0.05


class AwaitedPlace:
    """For a body that is passed on while it comes: its last part waits here for a place, before it goes on.

    So the service has nothing whole that it could act on before there is room, and its time counts from then.
    """

    def __init__(self, limit: AdaptiveLimit, priority: Priority) -> None:
        self.is_wanted = False
        self._limit = limit
        self._priority = priority
        self._is_over = False
        self._taken_at: float | None = None

    async def take(self) -> None:
        """Wait for room, and enter. Whoever bounds the request's time ends this, too."""
        self.is_wanted = True
        while self._limit.in_flight >= self._limit.rooms[self._priority]:
            await asyncio.sleep(LOOK_SECONDS)
            if self._is_over:  # nobody would give it back
                return
        self._limit.enter()
        self._taken_at = perf_counter()
        self.is_wanted = False

    def end(self, kind: str, *, was_asked: bool) -> None:
        """Give the place back, if one was had, and take none any more."""
        self._is_over = True
        if self._taken_at is not None:
            self._limit.leave(kind, perf_counter() - self._taken_at if was_asked else 0.0)


def enter(exchange: Exchange, limit: AdaptiveLimit) -> bool:
    """Whether there is a place for a body that has been read here; it is taken, and the stage ``admit`` ends it."""
    if not limit.admits(priority_of(exchange.matched.policy)):
        return False
    limit.enter()
    exchange.place = None
    return True


async def passed_on(exchange: Exchange, limit: AdaptiveLimit, proceed: Target) -> HTTPResponse:
    """Go on at once; a place is held from when the body is whole. Refused as at the door if none is had in time."""
    policy = exchange.matched.policy
    place = AwaitedPlace(limit, priority_of(policy))
    stream: Any = exchange.request.stream
    stream.before_end = place.take
    was_asked = True
    try:
        return await proceed(exchange)
    except Rejected as fault:
        if not place.is_wanted or fault.code != "request.timeout":
            raise
        limit.refused[priority_of(policy)] += 1
        return shed(exchange)
    except NotExecuted:
        was_asked = False
        raise
    finally:
        stream.before_end = None
        place.end(policy.name, was_asked=was_asked)


def shed(exchange: Exchange) -> HTTPResponse:
    """The same answer as at the door, for whoever found no place with a body that has been read."""
    exchange.equipment.collaborators.admission.crowd()
    exchange.problem = Unavailable.code
    exchange.reason = SHED.format(upstream=upstream_of(exchange.matched.policy))
    return refusal(exchange.request.path, exchange.request_id, closing=False)
