"""Tells this worker's metrics to the edge's main process, over a name in the kernel that no network reaches."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

import structlog

from shared.metrics.rendering import rendered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prometheus_client.registry import Collector

log = structlog.get_logger()

ALONE = "0-0"


def door_of(edge_port: int, pid: int) -> str:
    """Where the worker ``pid`` of the edge on this port tells: an abstract socket, which leaves no file behind."""
    return f"\0kirana-edge-metrics-{edge_port}-{pid}"


def worker_name() -> str:
    """Stays the same when a worker is replaced, so that its series go on: ``0-0`` of ``Sanic-Server-0-0``."""
    return os.environ.get("SANIC_WORKER_NAME", "").removeprefix("Sanic-Server-") or ALONE


class Teller:
    """Runs in the worker's own loop, where nothing that it reads can change under it."""

    def __init__(self, sources: Sequence[Collector], *, edge_port: int) -> None:
        self._sources = list(sources)
        self._edge_port = edge_port
        self._server: asyncio.Server | None = None

    def add(self, source: Collector) -> None:
        """Tell of this, too."""
        self._sources.append(source)

    async def open(self) -> None:
        """Begin to tell; without it the worker serves all the same."""
        door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            door.bind(door_of(self._edge_port, os.getpid()))
            self._server = await asyncio.start_unix_server(self._tell, sock=door)
        except OSError as fault:
            door.close()
            log.warning("metrics.not_told", reason=str(fault))

    async def close(self) -> None:
        """Tell no more."""
        if self._server is not None:
            self._server.close()

    async def _tell(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """All or nothing: who gets nothing counts this worker as silent."""
        try:
            texts = []
            for text in rendered(self._sources, {"worker": worker_name()}):
                texts.append(text)
                await asyncio.sleep(0)  # requests go first
            writer.write("".join(texts).encode())
        except Exception:
            log.exception("metrics.not_rendered")
        finally:
            writer.close()
