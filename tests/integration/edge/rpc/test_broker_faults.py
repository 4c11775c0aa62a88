from __future__ import annotations

import asyncio
import time

import pytest

from edge.rpc.failures import CallFailure, NotExecuted, OutcomeUnknown
from tests.builders.waiting import eventually_async
from tests.integration.edge.rpc.calling import a_caller, a_context, method, run

pytestmark = pytest.mark.usefixtures("stock_service")

AT_ONCE = 4
"""Seconds, where the deadline is five: a busy machine may take its time, but nobody waited for the deadline."""


async def outcome_of(call) -> tuple[type | None, float]:
    began = time.monotonic()
    try:
        await call
    except CallFailure as failure:
        return type(failure), time.monotonic() - began
    return None, time.monotonic() - began


def test_a_killed_broker_is_refused_at_once_and_used_again_within_ten_seconds_of_its_return(broker):
    async def scenario():
        async with a_caller(broker.url) as caller:
            await eventually_async(caller.answers)
            in_flight = asyncio.create_task(
                outcome_of(caller.client.call(method("slow", mutating=True), {"seconds": 60}, context=a_context(60)))
            )
            await eventually_async(lambda: len(caller.pending) == 1)

            await asyncio.to_thread(broker.kill)
            assert (await in_flight)[0] is OutcomeUnknown
            kind, seconds = await outcome_of(caller.echo(1, mutating=True))
            assert kind is NotExecuted
            assert seconds < AT_ONCE

            await asyncio.to_thread(broker.start)
            await eventually_async(lambda: caller.broker.is_connected, within=10)
            # the service takes longer and longer pauses between its own attempts, and until it is back nobody listens
            await eventually_async(caller.answers)
            await caller.guard.call(method("echo"), {"value": 1}, context=a_context(30))
            assert caller.guard.states()["stock"]["breaker"] == "closed"

    run(scenario())


def test_a_broker_that_stands_still_hangs_nobody(broker):
    async def scenario():
        async with a_caller(broker.url) as caller:
            await eventually_async(caller.answers)
            broker.pause()
            try:
                first = await asyncio.gather(
                    *(outcome_of(caller.echo(n, mutating=True, seconds=30)) for n in range(50))
                )
                assert {kind for kind, _ in first} <= {OutcomeUnknown, NotExecuted}
                assert max(seconds for _, seconds in first) < 10

                async def is_noticed() -> bool:
                    return (await outcome_of(caller.echo(0, mutating=True)))[0] is NotExecuted

                await eventually_async(is_noticed, within=15)
                kind, seconds = await outcome_of(caller.echo(0, mutating=True))
                assert kind is NotExecuted
                assert seconds < AT_ONCE
            finally:
                broker.resume()

            await eventually_async(caller.answers)

    run(scenario())
