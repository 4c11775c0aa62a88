"""However fetches, changes and their news interleave, nobody who heard of a change is shown what was before it."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st
from sanic import HTTPResponse

from edge.cache.shared import SharedStore
from edge.redis_client import make_redis
from tests.unit.edge.cache.asking import Shop

WORKERS = (0, 1)
STEPS = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from(WORKERS)),
    st.tuples(st.just("hear"), st.sampled_from(WORKERS)),
    st.tuples(st.just("finish"), st.integers(0, 5)),
    st.tuples(st.just("change"), st.none()),
    st.tuples(st.just("evict"), st.none()),
)


class World:
    """One truth, and two workers that fetch it slowly and hear late of its changes."""

    def __init__(self, redis):
        self.version = 0
        self.heard = dict.fromkeys(WORKERS, 0)
        self.reads = []
        self.asked = []
        self.shops = [Shop(shared=SharedStore(redis, patience=5.0)) for _ in WORKERS]
        for shop in self.shops:
            shop.origin = self.read
        self.redis = redis

    async def read(self, _exchange):
        """What stands when it is read, delivered when the test says so."""
        answer, gate = b"%d" % self.version, asyncio.Event()
        self.reads.append(gate)
        await gate.wait()
        return HTTPResponse(answer, headers={"cache-control": "public"})

    async def step(self, what, which):
        match what:
            case "ask":
                self.asked.append((self.heard[which], asyncio.create_task(self.shops[which].ask())))
            case "change":
                self.version += 1
            case "hear":
                self.heard[which] = self.version
                await self.shops[which].cache.purge({"product:7"}, by="test")
            case "finish" if self.reads:
                self.reads.pop(which % len(self.reads)).set()
            case "evict":
                await self.redis.delete(*await self.redis.keys("cache:tag:*") or ["nothing"])
        await self.settle()

    async def settle(self):
        """Until every fetch waits for its gate, and every other task has ended."""
        await asyncio.sleep(0)  # whoever has just been asked begins
        async with asyncio.timeout(10):
            while sum(len(shop.cache.fetching.tasks) for shop in self.shops) != len(self.reads):  # noqa: ASYNC110 - what settles is the loop itself
                await asyncio.sleep(0)

    async def end(self):
        while self.reads:
            await self.step("finish", 0)
        for worker in WORKERS:
            await self.step("ask", worker)
            await self.step("finish", 0)


@settings(max_examples=60)
@given(steps=st.lists(STEPS, max_size=25))
def test_nobody_who_heard_of_a_change_is_shown_what_was_before_it(redis_server, steps):
    async def scenario():
        redis = make_redis(redis_server.url, patience=5.0)
        await redis.flushall()
        world = World(redis)
        for step in steps:
            await world.step(*step)
        await world.end()
        shown = [(heard, int((await task).body)) for heard, task in world.asked]
        await redis.aclose()
        assert all(version >= heard for heard, version in shown), shown

    asyncio.run(scenario())
