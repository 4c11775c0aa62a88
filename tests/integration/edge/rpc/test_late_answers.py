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
            now = 0
            caller.guard = Guard(caller.client, ("stock",), clock=lambda: now)  # its time is never over
            assert await slowly(caller, 0.0, patience=10)
            calls = []
            for _ in range(5):  # apart, as what begins together is lost together, and is one silence
                now += 1
                calls.append(asyncio.create_task(slowly(caller, 6.0, patience=2)))
                await asyncio.sleep(0)
            late = await asyncio.gather(*calls)
            opened = caller.guard.states()["stock"]["methods"]["slow"]["breaker"]
            await eventually_async(lambda: slowly(caller, 0.0, patience=10))
            after = caller.guard.states()["stock"]["methods"]["slow"]["breaker"]

            assert (late, opened, after) == ([False] * 5, "open", "closed")

    run(scenario())
