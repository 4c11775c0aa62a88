"""Sets the moment by which the request must be answered, and answers truthfully when it comes."""

from __future__ import annotations

import asyncio

from sanic import HTTPResponse

from edge.exchange import Exchange, Target
from edge.problems import Rejected
from edge.rpc.calls import Deadline
from edge.rpc.failures import OutcomeUnknown
from shared.contracts.refusals import DeadlinePassed

GRACE_SECONDS = 0.25
"""Calls end by themselves at the deadline and know more about the outcome; this is for what does not."""


async def bound_time(exchange: Exchange, proceed: Target) -> HTTPResponse:
    """Every stage and call after this one works under the same absolute deadline."""
    route = exchange.matched
    exchange.deadline = Deadline.after(route.policy.deadline)
    try:
        async with asyncio.timeout(route.policy.deadline + GRACE_SECONDS):
            return await proceed(exchange)
    except TimeoutError:
        if exchange.body is None:
            raise Rejected(
                "request.timeout", "The body did not arrive in time.", headers={"connection": "close"}
            ) from None
        if route.mutating:
            raise OutcomeUnknown("the deadline passed inside the edge") from None
        raise DeadlinePassed from None
