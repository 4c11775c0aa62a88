"""What a process tells Python's garbage collector once it is up."""

from __future__ import annotations

import gc

YOUNG_OBJECTS = 10_000
"""New objects before the collector looks at them: at 700, Python's own, it looks twice for every hundred calls."""


def leave_out_what_lives() -> None:
    """Have the collector pass over all that lives as long as the process.

    A full collection of it takes 50 ms, and under load there was one several times a second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 50)
