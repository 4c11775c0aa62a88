"""A network between a client and a server that a test can make slow, deaf or broken, to the byte."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self, cast

from tests.builders.servers import free_port

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Way:
    """One direction. ``delay`` is in seconds; what is ``held`` goes on later, what is ``swallowed`` never does."""

    def __init__(self) -> None:
        self.heal()

    def heal(self) -> None:
        self.delay = 0.0
        self.held = False
        self.swallowed = False
        self.bytes_left: int | None = None

    def let_through(self, data: bytes) -> tuple[bytes, bool]:
        """What goes on of ``data``, and whether the connection breaks after it."""
        if self.bytes_left is None:
            return data, False
        passing, self.bytes_left = data[: self.bytes_left], max(0, self.bytes_left - len(data))
        return passing, self.bytes_left == 0


class _End(asyncio.Protocol):
    """One side of a connection through the proxy: what it reads goes to its ``peer``."""

    transport: asyncio.Transport
    peer: Any = None

    def __init__(self, way: Way, on_break: Callable[[], None]) -> None:
        self._way = way
        self._on_break = on_break
        self._kept: deque[tuple[float, bytes]] = deque()
        self._has_lost = False
        self.is_gone = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    @property
    def is_hole(self) -> bool:
        """Whether nothing goes on. It stays one for good where bytes were lost: those after them would be misread."""
        return self._way.swallowed or self._has_lost

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_gone = True
        if self.peer is None or self.is_hole:  # which takes the goodbye, too
            return
        self.peer.transport.close() if exc is None else self.peer.reset()

    def data_received(self, data: bytes) -> None:
        if self.is_hole:
            self._has_lost = True
            return
        if self.peer.is_gone:
            self._meet_nobody()
            return
        passing, breaks = self._way.let_through(data)
        if self._kept or self._way.delay or self._way.held:
            self._kept.append((asyncio.get_running_loop().time() + self._way.delay, passing))
            self.pump()
        else:
            self.peer.transport.write(passing)
        if breaks:
            self._on_break()

    def pump(self) -> None:
        """Send on what has been kept for long enough."""
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        while self._kept and not self._way.held and (self._kept[0][0] <= loop.time() or not self._way.delay):
            self.peer.transport.write(self._kept.popleft()[1])
        if self._kept:
            self._timer = loop.call_later(0.01, self.pump)

    def _meet_nobody(self) -> None:
        """The peer left unheard. Its machine says so to whoever goes on talking, if that is heard."""
        if not self.peer.is_hole:
            self.reset()

    def reset(self) -> None:
        """Close without a goodbye: the other end reads "connection reset by peer"."""
        with suppress(OSError):
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self.transport.abort()


class _Near(_End):
    """The client's side. It is not read before there is a far side."""

    def __init__(self, proxy: Proxy) -> None:
        super().__init__(proxy.up, proxy._break)
        self._proxy = proxy

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.pause_reading()
        self._connecting = asyncio.get_running_loop().create_task(self._proxy.connect(self))


class Proxy:
    """A context manager. ``up`` leads from clients to the server on ``port``, ``down`` back."""

    def __init__(self, port: int) -> None:
        self.port = free_port()
        self.up, self.down = Way(), Way()
        self.refuses = False
        self._server_port = port
        self._ends: set[_End] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._run(self._listen())
        return self

    def __exit__(self, *_fault: object) -> None:
        self._loop.call_soon_threadsafe(self._server.close)  # it belongs to that thread
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Reset every connection, both ends; new ones may be made, unless it ``refuses``."""
        self._run(self._cut())

    def heal(self) -> None:
        """From now on everything passes."""
        self.up.heal()
        self.down.heal()
        self.refuses = False

    async def _listen(self) -> asyncio.Server:
        return await self._loop.create_server(lambda: _Near(self), "127.0.0.1", self.port)

    async def connect(self, near: _End) -> None:
        """Lead a new client on to the server, or reset it as if there was none."""
        try:
            if self.refuses:
                raise ConnectionRefusedError
            far = _End(self.down, self._break)
            await self._loop.create_connection(lambda: far, "127.0.0.1", self._server_port)
        except OSError:
            near.reset()
            return
        near.peer, far.peer = far, near
        self._ends |= {near, far}
        near.transport.resume_reading()

    def _break(self) -> None:
        self._loop.call_soon(lambda: self._loop.create_task(self._cut()))

    async def _cut(self) -> None:
        self.up.bytes_left = self.down.bytes_left = None
        ends, self._ends = self._ends, set()
        for end in ends:
            end.reset()
        await asyncio.sleep(0)

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)
