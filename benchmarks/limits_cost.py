"""``python -m benchmarks.limits_cost``: what two exact limits cost the edge and Redis, per request.

Tasks ask the limiter, again and again, for one limit by address and one by caller, as a request with a known token
does: all from one address and caller, then each from its own. Printed: CPU of this process, CPU of Redis, and the
median and 99th percentile of the time that a request waits.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Any

import uvloop

from edge.limiting.limiter import Limiter, Patience
from edge.limiting.limits import Limit
from edge.limiting.shared_windows import RedisWindows
from edge.policies import RateClass
from tests.builders.redis import Redis

REQUESTS = 60_000
CONCURRENT = (1, 8, 64)
GENEROUS = RateClass(quota=100_000_000, window=1)
BY_ADDRESS, BY_CALLER = Limit("browse-address", GENEROUS), Limit("browse-caller", GENEROUS)


async def measured(limiter: Limiter, server: Redis, *, concurrent: int, strangers: bool) -> str:
    """One line for one way to ask."""
    waits: list[float] = []

    async def ask(number: int) -> None:
        who = f"192.0.2.{number if strangers else 1}"
        for _ in range(REQUESTS // concurrent):
            began = time.perf_counter()
            await limiter.take((BY_ADDRESS, BY_CALLER), (BY_ADDRESS.key(who), BY_CALLER.key(who)))
            waits.append(time.perf_counter() - began)

    ours, theirs = time.process_time(), seconds_of(server)
    await asyncio.gather(*(ask(number) for number in range(concurrent)))
    ours, theirs = time.process_time() - ours, seconds_of(server) - theirs
    percentiles = statistics.quantiles(waits, n=100)
    whose = "each its own" if strangers else "one address "
    edge, redis, median, high = (
        seconds * 1e6 for seconds in (ours / REQUESTS, theirs / REQUESTS, percentiles[49], percentiles[98])
    )
    return (
        f"{concurrent:3} at once, {whose}: edge {edge:6.2f} us, Redis {redis:6.2f} us; "
        f"p50 {median:5.0f} us, p99 {high:5.0f} us"
    )


def seconds_of(server: Redis) -> float:
    """CPU that Redis has used."""
    with server.client as client:
        used: dict[str, Any] = client.info("cpu")
    return float(used["used_cpu_user"] + used["used_cpu_sys"])


async def run(server: Redis) -> None:
    """All lines."""
    limiter = Limiter(RedisWindows(server.url), patience=Patience(answer=60))
    await limiter.open()
    for concurrent in CONCURRENT:
        for strangers in (False, True):
            print(await measured(limiter, server, concurrent=concurrent, strangers=strangers))
    await limiter.close()


if __name__ == "__main__":
    with Redis() as redis:
        uvloop.run(run(redis))
