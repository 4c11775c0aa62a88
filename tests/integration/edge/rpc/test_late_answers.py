"""A service that hung for a moment is asked again as soon as it is heard of, not when its breaker's time is over."""

from __future__ import annotations

import asyncio

import pytest

from edge.rpc.failures import CallFailure
from edge.rpc.guard import Guard
from tests.builders.waiting import eventually_async
from tests.integration.edge.rpc.calling import Caller, a_caller, a_context, method, run

pytestmark = pytest.mark.usefixtures("stock_service", "a_patient_link")


async def slowly(caller: Caller, seconds: float, *, patience: float) -> bool:
    try:
        await caller.guard.call(method("slow"), {"seconds": seconds}, context=a_context(patience))
    except CallFailure:
        return False
    return True


def test_a_late_answer_half_opens_the_breaker_that_its_lateness_opened(broker):
    async def scenario():
        async with a_caller(broker.url) as caller:
            caller.guard = Guard(caller.client, ("stock",), clock=lambda: 0.0)  # its time is never over
            assert await slowly(caller, 0.0, patience=10)
            late = await asyncio.gather(*(slowly(caller, 6.0, patience=2) for _ in range(5)))
            opened = caller.guard.states()["stock"]["methods"]["slow"]["breaker"]
            await eventually_async(lambda: slowly(caller, 0.0, patience=10))
            after = caller.guard.states()["stock"]["methods"]["slow"]["breaker"]

            assert (late, opened, after) == ([False] * 5, "open", "closed")

    run(scenario())
