"""Waiting for what must come true soon: looked at again and again, never slept for."""

import asyncio
import time

EVERY_SECONDS = 0.05


def eventually(look, *, within=60.0, every=EVERY_SECONDS, what="it", despite=()):
    """The first truthy thing that ``look`` sees; fails at the deadline. A fault in ``despite`` means not yet.

    ``what`` may be a function: asked when it failed, it can tell how things are then.
    """
    give_up_at = time.monotonic() + within
    while True:
        try:
            seen = look()
        except despite as fault:
            seen = None
            last = fault
        else:
            last = seen
        if seen:
            return seen
        if time.monotonic() >= give_up_at:
            raise AssertionError(f"{what() if callable(what) else what}: not within {within} s, last seen was {last!r}")
        time.sleep(every)


async def eventually_async(look, *, within=60.0, what="it"):
    """The same on an event loop; what ``look`` gives may be awaited."""
    give_up_at = time.monotonic() + within
    while True:
        seen = look()
        if asyncio.iscoroutine(seen):
            seen = await seen
        if seen:
            return seen
        assert time.monotonic() < give_up_at, f"{what}: not within {within} s, last seen was {seen!r}"
        await asyncio.sleep(EVERY_SECONDS)
