import asyncio
import socket
import time

import pytest
from redis.exceptions import RedisError

from edge.redis_client import make_redis


async def seconds_until_it_fails(url: str) -> float:
    redis = make_redis(url)
    began = time.monotonic()
    with pytest.raises(RedisError):
        await redis.ping()
    seconds = time.monotonic() - began
    await redis.aclose()
    return seconds


def least_seconds(url: str) -> float:
    """Of three tries: the machine may stop in the middle of one, and who is slow is so each time."""
    return min(asyncio.run(seconds_until_it_fails(url)) for _ in range(3))


def test_a_redis_that_accepts_but_never_answers_costs_less_than_a_second():
    with socket.create_server(("127.0.0.1", 0)) as mute:
        assert least_seconds(f"redis://127.0.0.1:{mute.getsockname()[1]}/0") < 1


def test_a_redis_that_is_not_there_is_known_at_once():
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]

    assert least_seconds(f"redis://127.0.0.1:{port}/0") < 0.5
