"""The processes of a stack under test, by name."""

from kirana.stack.home import Home
from kirana.stack.overview import seen_processes


def pids(stack):
    """Which process runs under which name; a stopped one is 0."""
    return {process.name: process.pid or 0 for process in seen_processes(Home(stack.home))}
