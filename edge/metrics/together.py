"""Listens where Prometheus asks, in the edge's main process, and gives what all workers tell as one text."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from edge.metrics.teller import door_of
from shared.metrics import families
from shared.metrics.listening import Listener
from shared.metrics.rendering import rendered, together
from shared.metrics.state import Just, Seen, counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from edge.settings import Settings

WORKER_SECONDS = 1.0
CHUNK = 65_536


def listener(settings: Settings, pids: Callable[[], Iterable[int]]) -> Listener | None:
    """What answers for the workers ``pids``; ``None`` when metrics are off."""
    address = settings.metrics
    if address.port is None:
        return None
    return Listener(address.host, address.port, lambda: told_by(settings.port, pids()))


def workers_of(keeper: Any) -> list[int]:
    """The ids of the workers that Sanic's process keeper runs now."""
    return [one.pid for one in keeper.transient_processes if one.pid and one.exitcode is None]


def told_by(edge_port: int, pids: Iterable[int]) -> Iterator[str]:
    """One text for all workers; the missing ones are counted, not waited for."""
    texts = [_ask(door_of(edge_port, pid)) for pid in pids]
    yield together(texts)
    yield from rendered([Just(counted(families.SILENT_WORKERS, Seen((), texts.count(""))))])


def _ask(door: str) -> str:
    """Everything a worker says until it hangs up; nothing when it does not answer."""
    parts = []
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(WORKER_SECONDS)
            connection.connect(door)
            while part := connection.recv(CHUNK):
                parts.append(part)
    except OSError:
        return ""
    return b"".join(parts).decode()
