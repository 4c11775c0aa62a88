"""Sets the moment by which the request must be answered, and answers truthfully when it comes."""

from __future__ import annotations

from asyncio import CancelledError

from sanic import HTTPResponse

from edge.composing import for_each
from edge.exchange import Exchange, Stage, Target
from edge.problems import Rejected
from edge.routes import Route
from edge.rpc.calls import Deadline
from edge.rpc.failures import OutcomeUnknown
from edge.upstreams.delivery import patience
from shared.contracts.refusals import DeadlinePassed

GRACE_SECONDS = 0.25
"""Calls end by themselves at the deadline and know more about the outcome; this is for what does not."""


SLOWEST_HEAD_SECONDS = 10.0
LONG_SECONDS = 14.0
"""The connection's own clock (``edge/app.py``: 15 s from a request's first byte) is for what has no deadline; whoever
may take longer than this must not be cut off by it."""


@for_each
def bound_time(route: Route) -> Stage:
    """Every stage and call after this one works under the same absolute deadline."""
    return _for_long if route.policy.deadline > LONG_SECONDS else _bounded


async def _for_long(exchange: Exchange, proceed: Target) -> HTTPResponse:
    with patience(exchange.request, answer=exchange.matched.policy.deadline + SLOWEST_HEAD_SECONDS):
        return await _bounded(exchange, proceed)


async def _bounded(exchange: Exchange, proceed: Target) -> HTTPResponse:
    seconds = exchange.matched.policy.deadline
    exchange.deadline = Deadline.after(seconds)
    timekeeper = exchange.equipment.timekeeper
    limit = timekeeper.begin(seconds + GRACE_SECONDS)
    try:
        response = await proceed(exchange)
    except CancelledError:
        if timekeeper.end(limit):
            raise _late(exchange) from None
        raise
    except BaseException:
        timekeeper.end(limit)
        raise
    timekeeper.end(limit)
    return response


def _late(exchange: Exchange) -> Exception:
    if exchange.body is None:
        return Rejected("request.timeout", "The body did not arrive in time.", headers={"connection": "close"})
    if exchange.matched.mutating:
        return OutcomeUnknown("the deadline passed inside the edge")
    return DeadlinePassed()
