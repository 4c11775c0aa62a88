"""The shared windows keep the same promises in a real Redis as the local ones do in memory."""

import asyncio
import bisect
import time

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisIsAway

from edge.limits import Limiter, LocalWindows, RedisWindows
from edge.policies import RateClass
from tests.builders import redis as private

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def port():
    with private.Redis() as server:
        yield server.port


@pytest.fixture
async def redis(port):
    client = Redis(port=port, protocol=2)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture(params=["shared", "local"])
def windows(request, redis):
    return RedisWindows(redis) if request.param == "shared" else LocalWindows()


async def test_no_span_of_the_windows_length_ever_admits_more_than_the_quota(windows):
    admitted = []
    until = time.monotonic() + 2.5

    async def press():
        while time.monotonic() < until:
            before = time.monotonic()
            allowed, _, _ = await windows.take("k", 20, 1)
            if allowed:
                admitted.append(before)
            await asyncio.sleep(0.002)

    await asyncio.gather(*(press() for _ in range(4)))

    admitted.sort()
    assert 40 <= len(admitted) <= 60
    for index, moment in enumerate(admitted):
        assert bisect.bisect_left(admitted, moment + 0.95) - index <= 20


async def test_what_is_left_counts_down_and_a_denied_request_is_not_counted(windows):
    taken = [await windows.take("k", 3, 60) for _ in range(5)]

    assert [(allowed, remaining) for allowed, remaining, _ in taken] == [
        (True, 2),
        (True, 1),
        (True, 0),
        (False, 0),
        (False, 0),
    ]
    assert all(56 <= reset <= 64 for _, _, reset in taken)


async def test_two_edges_share_one_window(redis, port):
    other = Redis(port=port, protocol=2)
    one, two = Limiter(RedisWindows(redis), scale=1), Limiter(RedisWindows(other), scale=1)
    rate = RateClass(quota=10, window=60)

    verdicts = await asyncio.gather(*(edge.take("browse", rate, "u") for _ in range(20) for edge in (one, two)))
    await other.aclose()

    assert sum(one.allowed for one in verdicts) == 10


async def test_a_window_leaves_nothing_behind(redis):
    await RedisWindows(redis).take("k", 3, 1)

    assert 0 < await redis.pttl("rate:k") <= 1200


async def test_a_redis_that_is_away_is_said_to_be():
    nowhere = Redis(port=1, protocol=2)

    with pytest.raises((RedisIsAway, OSError, TimeoutError)):
        await RedisWindows(nowhere).take("k", 3, 1)
    await nowhere.aclose()
