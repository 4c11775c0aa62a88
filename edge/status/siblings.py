"""The workers of one edge tell each other how they are, so that whichever of them is met can tell for all."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from edge.status.merging import merged

if TYPE_CHECKING:
    from edge.settings import Settings

log = structlog.get_logger()

PATIENCE_SECONDS = 0.5
KEPT_SECONDS = 1.0
"""However many people look, each worker asks the others once a second at most."""

MOST_BYTES = 4_000_000
MOST_SIBLINGS = 256
NAMES = Path("/proc/net/unix")
_PEER = struct.Struct("3i")

Told = dict[str, Any]


def door_name(edge_port: int, pid: int | str = "") -> str:
    """Where the worker ``pid`` of the edge on this port tells: a name in the kernel that no network reaches."""
    return f"kirana-edge-status-{edge_port}-{pid}"


class Door:
    """Gives whoever asks what ``tell`` says, and hangs up."""

    def __init__(self, tell: Callable[[], Told], *, edge_port: int) -> None:
        self._tell = tell
        self._edge_port = edge_port
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Begin to tell; without it the worker serves all the same, and the page counts it as silent."""
        door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            door.bind("\0" + door_name(self._edge_port, os.getpid()))
            self._server = await asyncio.start_unix_server(self._answer, sock=door)
        except OSError as fault:
            door.close()
            log.warning("edge.status.not_told", reason=str(fault))

    async def close(self) -> None:
        """Tell no more."""
        if self._server is not None:
            self._server.close()

    async def _answer(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(orjson.dumps(self._tell()))
        except Exception:
            log.exception("edge.status.not_made")
        finally:
            writer.close()


class Together:
    """Asks the other workers and makes one picture of all; one per worker."""

    def __init__(self, tell: Callable[[], Told], settings: Settings, *, wall: Callable[[], float] = time.time) -> None:
        self._tell = tell
        self._port = None if settings.is_alone else settings.port
        self._wall = wall
        self._asking: asyncio.Task[bytes] | None = None
        self._kept_until = float("-inf")

    async def status(self) -> bytes:
        """The picture as JSON, a second old at most. Whoever comes while it is being made waits for the same."""
        now = time.monotonic()
        if self._asking is None or now >= self._kept_until or _has_failed(self._asking):
            self._kept_until = now + KEPT_SECONDS
            self._asking = asyncio.create_task(self._made())
        return await asyncio.shield(self._asking)

    async def _made(self) -> bytes:
        own = self._tell()
        answers = await asyncio.gather(*(_ask(pid, name) for pid, name in self._siblings()))
        told = [each for each in answers if each is not None and each.get("instance") == own["instance"]]
        return orjson.dumps(merged(own, told, silent=answers.count(None), wall=self._wall()))

    def _siblings(self) -> list[tuple[int, str]]:
        if self._port is None:
            return []
        prefix = "@" + door_name(self._port)
        try:
            lines = NAMES.read_text(encoding="ascii", errors="replace").split("\n")
        except OSError:
            return []
        pids = {line.rpartition(prefix)[2] for line in lines if prefix in line}
        others = sorted(int(pid) for pid in pids if pid.isdecimal() and int(pid) != os.getpid())
        return [(pid, door_name(self._port, pid)) for pid in others[:MOST_SIBLINGS]]


def _has_failed(task: asyncio.Task[bytes]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


async def _ask(pid: int, name: str) -> Told | None:
    """What this worker tells; ``None`` when it does not in time, or is not the process that its name says."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await _heard(pid, name)
    except (OSError, ValueError, TimeoutError):
        return None


async def _heard(pid: int, name: str) -> Told:
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        link.setblocking(False)  # noqa: FBT003 - the standard library's own order
        link.connect("\0" + name)
        _recognise(link, pid)
        reader, writer = await asyncio.open_unix_connection(sock=link)
    except BaseException:
        link.close()
        raise
    try:
        told: Told = orjson.loads(await _read_all(reader))
        return told
    finally:
        writer.close()


def _recognise(link: socket.socket, pid: int) -> None:
    peer, user, _ = _PEER.unpack(link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    if peer != pid or user != os.geteuid():
        raise ConnectionRefusedError("not a worker of ours")


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    parts, size = [], 0
    while part := await reader.read(65_536):
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise ValueError("more than a worker tells")
    return b"".join(parts)
