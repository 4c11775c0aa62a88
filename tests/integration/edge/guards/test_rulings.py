"""What an operator rules of a breaker on one worker holds on all of them, with a real Redis between them."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from edge.redis_client import make_redis
from edge.rpc.calls import CallContext, Deadline, RpcReply
from edge.rpc.failures import NotExecuted, OutcomeUnknown
from edge.rpc.guard import Guard
from edge.rpc.rulings import KEY, Rulings, RulingsAway
from shared.contracts.catalog import GET_PRODUCT, LIST_CATEGORIES
from tests.builders.proxy import Proxy
from tests.builders.waiting import eventually_async

pytestmark = pytest.mark.anyio


class Answering:
    async def call(self, *_, **__):
        return RpcReply(1)


class Worker:
    def __init__(self, server):
        self.redis = make_redis(f"redis://127.0.0.1:{server.port}/0", patience=5.0)
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
async def workers(server, count=2, *, follow=True):
    made = [Worker(server) for _ in range(count)]
    running = [asyncio.create_task(worker.rulings.run()) for worker in made if follow]
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


class AnsweredOnce(Rulings):
    """After the first look, something becomes of the way on which Redis answers."""

    def __init__(self, redis, guard, befall):
        super().__init__(redis, guard)
        self.befall = befall

    async def look(self):
        await super().look()
        self.befall()


def silence(proxy):
    proxy.down.swallowed = True


def breaks(proxy):
    """In the middle of the next answer, and nobody is let in again."""
    proxy.down.bytes_left, proxy.refuses = 1, True


@pytest.mark.parametrize("befalls", [silence, breaks])
async def test_a_ruling_whose_answer_is_lost_may_hold_and_nobody_is_told_that_it_does_not(server, befalls):
    with Proxy(server.port) as proxy:
        async with workers(server, 1) as (there,), workers(proxy, 1, follow=False) as (here,):
            await here.redis.ping()
            here.redis.patience = 0.5
            rulings = AnsweredOnce(here.redis, here.guard, lambda: befalls(proxy))

            with pytest.raises(OutcomeUnknown):
                await rulings.hold("catalog", None, "open")

            await eventually_async(lambda: refuses(there), within=10)


async def test_a_redis_that_hangs_before_it_is_told_has_been_told_nothing(server):
    async with workers(server, 1) as (here,):
        await here.redis.ping()
        here.redis.patience = 0.2
        server.pause()
        try:
            with pytest.raises(RulingsAway):
                await here.rulings.hold("catalog", None, "open")
        finally:
            server.resume()
        here.redis.patience = 5.0

        assert await here.redis.hgetall(KEY) == {}


async def test_a_redis_that_says_no_has_changed_nothing(server):
    async with workers(server, 1) as (here,):
        await here.redis.config_set("maxmemory", 1)

        with pytest.raises(RulingsAway):
            await here.rulings.hold("catalog", None, "open")

        assert await here.redis.hgetall(KEY) == {}


async def test_what_makes_no_sense_in_redis_rules_nothing(server):
    async with workers(server, 1) as (worker,):
        await worker.redis.hset(KEY, mapping={"catalog": "ajar", "nobody": "open", "catalog.get_product": b"\xff"})
        await worker.rulings.look()

        assert await worker.serves()
