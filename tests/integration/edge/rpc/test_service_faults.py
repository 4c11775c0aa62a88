from __future__ import annotations

import asyncio

import pytest

from edge.rpc.failures import NotExecuted
from tests.builders.waiting import eventually_async
from tests.integration.edge.rpc.calling import a_caller, run


def test_calls_to_a_killed_service_fail_at_once_until_it_is_back(broker, start_stock_service):
    async def scenario():
        service = start_stock_service()
        async with a_caller(broker.url) as caller:
            await eventually_async(caller.answers)
            service.kill()

            await eventually_async(lambda: caller.consumers.absent("stock"), within=30)
            async with asyncio.timeout(4):  # the deadline is five
                with pytest.raises(NotExecuted):
                    await caller.echo(1)

            await asyncio.to_thread(start_stock_service)
            await eventually_async(caller.answers, within=30)

    run(scenario())
