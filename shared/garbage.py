"""What a process tells Python's garbage collector once it is up."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

YOUNG_OBJECTS = 10_000
"""New objects before the collector looks at them: at 700, Python's own, it looks twice for every hundred calls."""

LOOK_SECONDS = 0.25
LOOKS = 240
"""Looks at what is new between two at all that came since the one before: about a minute."""


def leave_out_what_lives() -> None:
    """Have the collector pass over all that lives as long as the process.

    A full collection of it takes 50 ms, and under load there was one several times a second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 50)


def look_often(loop: AbstractEventLoop) -> None:
    """Have it look at what is new by the clock, while the loop runs: for a process that holds many connections.

    Python counts what is made less what has gone. Where clients come and go at the same rate that hardly grows, so all
    that they hold gathers unseen: with 5,000 of them, the look at last took 146 ms, and nobody was served meanwhile.
    """
    gc.set_threshold(YOUNG_OBJECTS, LOOKS, 50)

    def look() -> None:
        gc.collect(0)
        loop.call_later(LOOK_SECONDS, look)

    look()
