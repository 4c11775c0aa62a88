"""A service that stands still, and readers who hold every place before it: whoever comes now is turned away."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

from kirana.journey.load import request_bytes
from kirana.stack.home import Home
from kirana.stack.overview import seen_processes
from kirana.stack.state import StackState
from shared.resilience.adaptive import LimitPolicy

SERVICE = "catalog-1"


@contextmanager
def crowded(stack: StackState, url: str) -> Iterator[None]:
    """Let the service stand still for the block, with more readers of ``url`` than there are places."""
    parts = urlsplit(url)
    address = (parts.hostname or "", parts.port or 0)
    pid = next(seen.pid for seen in seen_processes(Home(stack.home)) if seen.name == SERVICE)
    with ExitStack() as held:
        os.kill(pid, signal.SIGSTOP)
        held.callback(os.kill, pid, signal.SIGCONT)
        for number in range(LimitPolicy().first):
            line = held.enter_context(socket.create_connection(address))
            line.sendall(request_bytes("GET", url, f"{parts.path}{number + 1}"))
        yield
