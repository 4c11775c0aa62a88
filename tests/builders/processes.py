"""The processes of a stack under test, by name."""

import signal
from contextlib import contextmanager

from kirana.stack.home import Home
from kirana.stack.overview import seen_processes
from tests.builders.waiting import eventually


@contextmanager
def hearing_interrupts():
    """Within the block this process, and whoever is begun in it, can be interrupted: a shell may have us begun deaf."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def pid_of(stack, name):
    """The process of this name, once it runs: who is just being started again is waited for."""
    return eventually(lambda: pids(stack).get(name), what=name)


def pids(stack):
    """Which process runs under which name; a stopped one is 0."""
    return {process.name: process.pid or 0 for process in seen_processes(Home(stack.home))}
