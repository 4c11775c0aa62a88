"""Who cancels a task that asks Redis finds it cancelled, at whatever moment of the asking."""

import asyncio

import pytest

from edge.redis_client import make_redis

pytestmark = pytest.mark.anyio

TURNS = 60
"""More turns of the event loop than several calls take."""


async def test_no_cancellation_is_lost_at_whatever_moment_of_a_call_it_comes(server):
    redis = make_redis(server.url, patience=5.0)

    async def ask_forever():
        while True:
            await redis.get("key")

    async def cancelled_after(turns):
        asking = asyncio.create_task(ask_forever())
        for _ in range(turns):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking], timeout=2)
        return asking.cancelled()

    await redis.ping()
    for turns in range(TURNS):
        assert await cancelled_after(turns), turns
    await redis.aclose()
