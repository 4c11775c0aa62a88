"""What an operator rules of a breaker on one worker holds on all of them, with a real Redis between them."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from edge.redis_client import make_redis
from edge.rpc.calls import CallContext, Deadline, RpcReply
from edge.rpc.failures import NotExecuted
from edge.rpc.guard import Guard
from edge.rpc.rulings import KEY, Rulings, RulingsAway
from shared.contracts.catalog import GET_PRODUCT, LIST_CATEGORIES
from tests.builders.waiting import eventually_async

pytestmark = pytest.mark.anyio


class Answering:
    async def call(self, *_, **__):
        return RpcReply(1)


class Worker:
    def __init__(self, server):
        self.redis = make_redis(server.url, patience=5.0)
        self.guard = Guard(Answering(), ["catalog"])
        self.rulings = Rulings(self.redis, self.guard)

    async def serves(self, method=GET_PRODUCT):
        context = CallContext(request_id="r", deadline=Deadline.after(5), route="t")
        try:
            await self.guard.call(method, {}, context=context)
        except NotExecuted:
            return False
        return True


@asynccontextmanager
async def workers(server, count=2):
    made = [Worker(server) for _ in range(count)]
    running = [asyncio.create_task(worker.rulings.run()) for worker in made]
    try:
        yield made
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for worker in made:
            await worker.redis.aclose()


async def refuses(worker):
    return not await worker.serves()


async def test_what_is_ruled_on_one_worker_holds_on_all_and_on_those_that_start_later(server):
    async with workers(server) as (here, there):
        await here.rulings.hold("catalog", "get_product", "open")
        at_once = await here.serves()
        await eventually_async(lambda: refuses(there), within=10)
        others = await there.serves(LIST_CATEGORIES)
        async with workers(server, 1) as (new,):
            await eventually_async(lambda: refuses(new), within=10)
        await there.rulings.hold("catalog", "get_product", "automatic")
        await eventually_async(here.serves, within=10)

    assert (at_once, others) == (False, True)


async def test_while_redis_is_away_the_last_rulings_hold_and_none_is_made_that_would_not_reach_all(server):
    async with workers(server) as (here, there):
        await here.rulings.hold("catalog", None, "open")
        await eventually_async(lambda: refuses(there), within=10)
        server.kill()
        with pytest.raises(RulingsAway):
            await here.rulings.hold("catalog", None, "automatic")
        held = [await here.serves(), await there.serves()]
        server.start()
        await here.redis.flushall()
        await eventually_async(here.serves, within=10)
        await eventually_async(there.serves, within=10)

    assert held == [False, False]


async def test_what_makes_no_sense_in_redis_rules_nothing(server):
    async with workers(server, 1) as (worker,):
        await worker.redis.hset(KEY, mapping={"catalog": "ajar", "nobody": "open", "catalog.get_product": b"\xff"})
        await worker.rulings.look()

        assert await worker.serves()
