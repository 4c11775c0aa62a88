"""Lets one command at a time change a stack."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kirana.stack.faults import Busy

PATIENCE_SECONDS = 600.0


@contextmanager
def alone(folder: Path, *, on_wait: Callable[[], None], patience: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Hold the stack's lock; it goes with its holder, however that ends. Raises :class:`Busy` after ``patience``."""
    give_up = time.monotonic() + patience
    waited = False
    with (folder / "lock").open("w", encoding="ascii") as file:
        while not _taken(file.fileno()):
            if not waited:
                on_wait()
            waited = True
            if time.monotonic() > give_up:
                raise Busy(f"Another kirana command is still at work on {folder}.", mend="wait for it, or end it")
            time.sleep(0.2)
        yield


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
