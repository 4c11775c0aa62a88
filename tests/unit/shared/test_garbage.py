import asyncio
import gc
import weakref

import pytest

from shared.garbage import LOOK_SECONDS, leave_out_what_lives, look_often


class Circle:
    def __init__(self):
        self.itself = self


@pytest.fixture
def collector():
    """As it was, whatever a test tells it."""
    thresholds = gc.get_threshold()
    yield gc
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def test_what_refers_to_itself_is_gone_soon_though_next_to_nothing_is_made(collector):
    async def scenario():
        leave_out_what_lives()
        look_often(asyncio.get_running_loop())
        circle = weakref.ref(Circle())
        await asyncio.sleep(3 * LOOK_SECONDS)
        return circle()

    assert asyncio.run(scenario()) is None


def test_what_has_lived_for_a_while_is_not_looked_at_again_and_again(collector):
    async def scenario():
        leave_out_what_lives()
        look_often(asyncio.get_running_loop())
        held = [Circle() for _ in range(1000)]
        await asyncio.sleep(3 * LOOK_SECONDS)
        return [one for one in gc.get_objects(generation=0) if isinstance(one, Circle)], len(held)

    assert asyncio.run(scenario()) == ([], 1000)
