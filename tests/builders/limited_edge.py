"""``python -m tests.builders.limited_edge REDIS_URL WORKERS TABLE``: an edge with real limits and nothing real behind.

It prints its port when it serves, and ends when its input does.
"""

import asyncio
import logging
import sys
from pathlib import Path

import structlog

from edge.limiting.limiter import Limiter, Patience
from edge.limiting.shared_windows import RedisWindows
from tests.builders.answers import a_product_answer
from tests.fakes.edge import FakeRpc, collaborators, serving

PATIENCE = Patience(answer=1.0, opening=1.0)
"""The processes of a test press one another on a small machine: a late answer is no sign of an absence there."""


async def serve(url, workers, table):
    parts = collaborators(FakeRpc(get_product=a_product_answer()))
    limiter = Limiter(RedisWindows(url), edges=lambda: workers, patience=PATIENCE)
    object.__setattr__(parts, "limiter", limiter)
    async with serving(parts, table) as client:
        await limiter.open()
        print(client.base_url.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)
        await limiter.close()


if __name__ == "__main__":
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
    )  # what prints is the port
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
