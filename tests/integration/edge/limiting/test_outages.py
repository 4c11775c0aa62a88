"""Redis dies, freezes, crawls or hangs up: requests wait for it once, are judged alone, and it is back by itself."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from edge.limiting.limiter import Limiter, Patience
from edge.limiting.limits import Limit
from edge.limiting.shared_windows import RedisWindows
from edge.policies import RateClass
from tests.builders.proxy import Proxy
from tests.builders.waiting import eventually_async

pytestmark = pytest.mark.anyio

PATIENCE = Patience(answer=1.5, opening=3)
"""More than in earnest: on a busy machine a late answer is no sign of an absence."""

LIMIT = Limit("browse", RateClass(quota=40, window=600))


@pytest.fixture
def proxy(server):
    with server.client as client:
        client.flushall()
    with Proxy(server.port) as proxy:
        yield proxy


@asynccontextmanager
async def a_limiter(proxy, **more):
    limiter = Limiter(RedisWindows(f"redis://127.0.0.1:{proxy.port}/0"), patience=PATIENCE, **more)
    await limiter.open()
    await eventually_async(lambda: not limiter.is_local)
    try:
        yield limiter
    finally:
        await limiter.close()


async def take(limiter, times=1):
    return [(await limiter.take((LIMIT,), (LIMIT.key("u"),)))[0].allowed for _ in range(times)]


def a_crawl(proxy):
    """Five seconds more on the way."""
    proxy.down.delay = 5.0


def a_deaf_ear(proxy):
    proxy.up.swallowed = True


def a_hang_up(proxy):
    proxy.refuses = True
    proxy.cut()


def trouble_of(kind, server, proxy):
    """How it begins and how it ends."""
    return {
        "killed": (server.kill, server.start),
        "paused": (server.pause, server.resume),
        "crawling": (lambda: a_crawl(proxy), proxy.heal),
        "deaf": (lambda: a_deaf_ear(proxy), proxy.heal),
        "hung up": (lambda: a_hang_up(proxy), proxy.heal),
    }[kind]


@pytest.mark.parametrize("kind", ["killed", "paused", "crawling", "deaf", "hung up"])
async def test_nobody_waits_for_a_redis_that_is_away_and_it_is_exact_again_when_back(server, proxy, kind):
    async with a_limiter(proxy, edges=lambda: 2) as limiter:
        assert await take(limiter, 10) == [True] * 10
        begin, end = trouble_of(kind, server, proxy)
        with capture_logs() as logs:
            await asyncio.to_thread(begin)
            await take(limiter)
            await eventually_async(lambda: limiter.is_local and logs)
            began = time.monotonic()
            alone = await take(limiter, 30)
            seconds = time.monotonic() - began
            await asyncio.to_thread(end)
            ended = time.monotonic()
            await eventually_async(lambda: not limiter.is_local)
            back_after = time.monotonic() - ended

        assert [one["event"] for one in logs] == ["edge.limits_are_local", "edge.limits_are_shared_again"]
        assert seconds < 1.2, "nobody of the thirty waited for an answer"
        assert alone == [True] * 9 + [False] * 21  # its half of 40, of which 11 were used before
        assert back_after < 12
        # What Redis was asked as it froze it may have counted, too: that is never too many, and at most one too few.
        assert sum(await take(limiter, 25)) in {19, 20}


async def test_a_redis_that_is_emptied_while_in_use_opens_no_gates(server, proxy):
    async with a_limiter(proxy) as limiter:
        await take(limiter, 30)
        with server.client as client:
            client.flushall()
        await eventually_async(lambda: _became_local(limiter))
        await eventually_async(lambda: not limiter.is_local)

        assert sum(await take(limiter, 20)) <= 10


async def test_an_edge_that_starts_without_redis_serves_and_finds_it_later(server, proxy):
    proxy.refuses = True
    limiter = Limiter(RedisWindows(f"redis://127.0.0.1:{proxy.port}/0"), patience=PATIENCE)
    await limiter.open()
    assert await take(limiter) == [True]
    assert limiter.is_local

    proxy.heal()

    await eventually_async(lambda: not limiter.is_local)
    await limiter.close()


async def _became_local(limiter):
    other = Limit("other", RateClass(quota=1_000_000, window=600))
    await limiter.take((other,), (other.key("u"),))
    return limiter.is_local
