"""Waits for programs to become ready, and explains itself when one does not."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from kirana.stack import causes
from kirana.stack.faults import StackFault
from kirana.stack.home import Home
from kirana.stack.readiness import Probe

HOPELESS_AFTER = 6
"""A process that was started again so often while we waited for it will not come up."""


class CountsRestarts(Protocol):
    """Whatever knows how often a program was started again."""

    def restarts(self) -> Mapping[str, int]:
        """Restarts by program."""


class Waiter:
    """Waits for the programs of one home; what it raises is the kind of fault it was made with."""

    def __init__(
        self,
        home: Home,
        supervisor: CountsRestarts,
        fault: type[StackFault],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._home = home
        self._supervisor = supervisor
        self._fault = fault
        self._clock = clock
        self._sleep = sleep

    def wait(self, program: str, probe: Probe, seconds: float, *, hopeless_after: int = HOPELESS_AFTER) -> None:
        """Return when ``probe`` is content. Raises the fault with the program's last words otherwise."""
        give_up = self._clock() + seconds
        restarts = self._supervisor.restarts().get(program, 0)
        while complaint := probe():
            hopeless = self._supervisor.restarts().get(program, 0) - restarts >= hopeless_after
            if hopeless or self._clock() > give_up:
                raise self._explained(program, complaint)
            self._sleep(0.1)

    def _explained(self, program: str, complaint: str) -> StackFault:
        lines = causes.last_lines(self._home, program)
        cause, mend = causes.likely(lines)
        return self._fault(f"{program} did not become ready: {complaint}", log=lines, cause=cause, mend=mend)
