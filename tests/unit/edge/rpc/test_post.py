import asyncio
import random

import pytest

from edge.rpc.post import Post
from shared.resilience.breaker import BreakerPolicy


def a_post():
    return Post(BreakerPolicy(), clock=lambda: 0.0, dice=random.Random(1), on_move=lambda *_: None)


@pytest.mark.parametrize("ticks", range(4))
def test_who_is_cancelled_while_the_verdict_comes_is_cancelled(ticks):
    async def scenario():
        post = a_post()
        waiting = asyncio.create_task(post.verdict(5.0))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        post.circuit.on_verdict()
        for _ in range(ticks):
            await asyncio.sleep(0)
        is_over = waiting.done()
        waiting.cancel()
        if is_over:
            await waiting
        else:
            with pytest.raises(asyncio.CancelledError):
                await waiting

    asyncio.run(scenario())


def test_a_verdict_is_not_waited_for_longer_than_asked():
    async def scenario():
        async with asyncio.timeout(5):
            await a_post().verdict(0.01)

    asyncio.run(scenario())
