"""Finds a port for each server: the usual one if it is free, else another, and the same one at every later start."""

from __future__ import annotations

import json
import socket
import time
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

PREFERRED: dict[str, int] = {
    "edge": 8000,
    "amqp": 5672,
    "management": 15672,
    "rabbitmq_distribution": 25672,
    "epmd": 14369,
    "redis_carts": 6379,
    "redis_edge": 6380,
    "postgres": 5432,
    "smtp": 1025,
    "consul": 8500,
    "consul_server": 8300,
    "consul_serf": 8301,
    "front": 8080,
    "canary": 8001,
    "canary_metrics": 9790,
}

METRICS_PREFIX = "metrics."
FIRST_METRICS_PORT = 9700

FILE_NAME = "ports.json"

_FIRST, _LAST = 12000, 32000
"""Below the range from which the kernel takes the near end of outgoing connections: a client that reconnects to a
dead server's port in that range could connect to itself."""


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT can be had
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104 - bound, never listened on: it clashes with any address
        except OSError:
            return False
    return True


def choose(
    folder: Path,
    *,
    running: bool,
    programs: Sequence[str] = (),
    reserved: Collection[int] = (),
    free: Callable[[int], bool] = is_free,
) -> dict[str, int]:
    """A port for every name in :data:`PREFERRED`, kept in ``folder``; none of the ``reserved`` ones.

    Each of ``programs`` gets one for its metrics, under ``metrics.<program>``.

    While the stack is ``running`` its ports are taken by itself, so they stay as they are.
    """
    path = folder / FILE_NAME
    kept = chosen_in(folder)
    chosen: dict[str, int] = {}
    metrics = {f"{METRICS_PREFIX}{name}": FIRST_METRICS_PORT + step for step, name in enumerate(programs)}
    for name, preferred in (PREFERRED | metrics).items():
        if running and name in kept:
            chosen[name] = kept[name]
            continue
        wishes = [kept.get(name, preferred), preferred, *_others(f"{folder}/{name}")]
        others = {port for other, port in kept.items() if other != name}
        unwanted = {*chosen.values(), *others, *reserved}
        chosen[name] = next(port for port in wishes if port not in unwanted and free(port))
    if chosen != kept:
        path.write_text(json.dumps(chosen, indent=2), encoding="utf-8")
    return chosen


def chosen_in(folder: Path) -> dict[str, int]:
    """What was chosen for the stack in ``folder``; a server that is just being restarted does not listen there."""
    try:
        found: dict[str, int] = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _others(seed: str) -> Iterator[int]:
    start = zlib.crc32(seed.encode()) % (_LAST - _FIRST)
    for step in range(_LAST - _FIRST):
        yield _FIRST + (start + step) % (_LAST - _FIRST)


@contextmanager
def choosing_alone(timeout: float = 120.0) -> Iterator[None]:
    """Keep other stacks of this machine from choosing until this one can be seen to run.

    A name in the kernel's abstract namespace is the lock: no file is left behind, and it goes with its holder.
    After ``timeout`` seconds we go on without it.
    """
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    give_up = time.monotonic() + timeout
    try:
        while time.monotonic() < give_up:
            try:
                lock.bind("\0kirana-stack-ports")
                break
            except OSError:
                time.sleep(0.1)
        yield
    finally:
        lock.close()
