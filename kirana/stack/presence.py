"""Knows whether a stack runs at all, before a command asks the shop something and waits for the answer."""

from __future__ import annotations

from kirana.stack import processes, state
from kirana.stack.faults import NotRunning
from kirana.stack.home import Home
from kirana.stack.state import StackState
from kirana.stack.supervision import Supervisor


def load_running() -> StackState:
    """The stack of this home, if anything of it runs. Raises :class:`NotRunning`."""
    found = state.load()
    if not Supervisor(Home(found.home)).is_alive() and not processes.of_stack(found.home):
        raise NotRunning(f"The stack in {found.home} does not run.", mend="kirana up")
    return found
