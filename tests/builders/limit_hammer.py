"""``python -m tests.builders.limit_hammer REDIS_URL TASKS SECONDS QUOTA WINDOW``: a limiter that is never let alone.

Its tasks take from one window again and again, each in its own time: tasks that all pause alike ask together for ever,
and who asks a moment after the others finds every window full. It waits for a line of input when it is ready, and
prints the moments between which each admission and each refusal was decided, as JSON.
"""

import asyncio
import json
import random
import sys
import time

import uvloop

from edge.limiting.limiter import Limiter, Patience
from edge.limiting.limits import Limit
from edge.limiting.shared_windows import RedisWindows
from edge.policies import RateClass
from tests.builders.waiting import eventually_async

PATIENCE = Patience(answer=30, opening=30)
"""Hundreds of tasks on a small machine are late, and a late answer is no sign of an absence here."""


async def main(url, tasks, seconds, quota, window):
    limiter = Limiter(RedisWindows(url), patience=PATIENCE)
    limit = Limit("shared", RateClass(quota=quota, window=window))
    found = {"admitted": [], "refused": []}

    async def hammer():
        while time.monotonic() < over:
            asked = time.monotonic()
            (verdict,) = await limiter.take((limit,), (limit.key("everybody"),))
            found["admitted" if verdict.allowed else "refused"].append((asked, time.monotonic()))
            await asyncio.sleep(random.uniform(0.01, 0.09))

    await limiter.open()
    await eventually_async(lambda: not limiter.is_local)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    over = time.monotonic() + seconds
    await asyncio.gather(*(hammer() for _ in range(tasks)))
    found["local"] = limiter.counts["local"]
    await limiter.close()
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], *map(int, sys.argv[2:])))
