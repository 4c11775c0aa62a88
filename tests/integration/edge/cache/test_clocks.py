"""A clock that was set back makes no answer younger than it is, with a real Redis between the workers."""

from contextlib import asynccontextmanager

import pytest

from edge.cache.shared import SharedStore
from edge.redis_client import make_redis
from tests.unit.edge.cache.asking import Clock, Shop, status_of

pytestmark = pytest.mark.anyio

HOUR = 3600


@asynccontextmanager
async def two_shops(server):
    """Two workers with a wall clock of their own each, and an empty Redis between them."""
    redis = make_redis(server.url, patience=5.0)
    await redis.flushall()
    shops = [Shop(shared=SharedStore(redis, patience=5.0)) for _ in range(2)]
    for shop in shops:
        shop.cache.fetching.wall = shop.wall = Clock(100_000.0)
    try:
        yield shops
    finally:
        await redis.aclose()


async def test_what_was_kept_before_the_clock_was_set_back_is_fetched_anew_when_it_is_due(redis_server):
    async with two_shops(redis_server) as (shop, _):
        shop.origin.body = b"old"
        await shop.ask()
        await shop.settled()
        shop.wall.at -= HOUR
        shop.origin.body = b"new"

        shop.clock.at += 20
        await shop.ask()
        await shop.settled()

        assert (await shop.ask()).body == b"new"
        assert len(shop.origin.seen) == 2


async def test_of_another_worker_too_what_was_fetched_in_the_time_to_come_is_not_believed(redis_server):
    async with two_shops(redis_server) as (ahead, behind):
        await ahead.ask()
        await ahead.settled()
        behind.wall.at -= HOUR
        behind.origin.body = b"new"

        answer = await behind.ask()

        assert (answer.body, status_of(answer)) == (b"new", "kirana; fwd=miss; stored")


async def test_clocks_may_differ_by_a_moment(redis_server):
    async with two_shops(redis_server) as (ahead, behind):
        await ahead.ask()
        await ahead.settled()
        behind.wall.at -= 0.9

        answer = await behind.ask()

        assert (status_of(answer), answer.headers["age"]) == ("kirana; hit", "0")
        assert not behind.origin.seen
