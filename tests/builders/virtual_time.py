"""A loop whose clock jumps to whatever is due next: hours of load in a moment, and the same on any machine."""

import asyncio


class VirtualLoop(asyncio.SelectorEventLoop):
    """Nothing from outside reaches it: sockets and threads would need the time that it leaves out."""

    def __init__(self):
        super().__init__()
        self._now = 0.0
        select = self._selector.select

        def jump(timeout=None):
            if timeout is None:
                raise RuntimeError("Everybody waits, and nothing is due any more.")
            self._now += timeout
            return select(0)

        self._selector.select = jump

    def time(self):
        return self._now


def in_virtual_time(scenario):
    """What the coroutine gives."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(scenario)
    finally:
        loop.close()
