"""A request's body on its way through the edge: read as fast as the service takes it, and never kept."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DISCARDED_BYTES = 8_000_000
DISCARDING_SECONDS = 2.0


class Incoming(Protocol):
    """The connection's side of a body. To read is to ask a client that expects to be asked (RFC 9110 §10.1.1)."""

    expecting_continue: bool

    async def read(self) -> bytes | None:
        """The next part; ``None`` at the end."""
        ...


class Upload:
    """``left`` is how many bytes are still to come, ``ended_at`` (monotonic seconds) when the last of them came.

    ``waited`` is for how many seconds nothing else was waited for but the client.
    """

    def __init__(self, incoming: Incoming, length: int) -> None:
        self.left = length
        self.ended_at = math.inf
        self.waited = 0.0
        self.is_touched = False
        self._is_free = asyncio.Event()
        self._is_free.set()
        self._incoming = incoming
        self._is_stopped = False

    @property
    def awaits_client(self) -> bool:
        """Whether somebody reads now, and the client has sent nothing more yet."""
        return not self._is_free.is_set()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The parts, each read when the one before has been taken."""
        self.is_touched = True
        while self.left and not self._is_stopped:
            part = await self._read()
            if part is None:
                return
            yield part

    async def discard(self, seconds: float = DISCARDING_SECONDS) -> None:
        """Read what is left, within bounds: a client that sends before it listens can then hear its answer.

        Whoever else reads must have been told to stop, and is waited for: two readers would take each other's parts.
        Who has not been asked for the body yet listens already, and is not asked for what nobody wants.
        """
        self._is_stopped = True
        if self._incoming.expecting_continue:
            return
        try:
            async with asyncio.timeout(max(0.0, min(seconds, DISCARDING_SECONDS))):
                await self._is_free.wait()
                if self.left <= DISCARDED_BYTES:
                    while self.left and await self._read() is not None:
                        pass
        except TimeoutError:
            return

    async def _read(self) -> bytes | None:
        self._is_free.clear()
        began = time.monotonic()
        try:
            part = await self._incoming.read()
            self.left = self.left - len(part) if part is not None else 0
            if part is not None and not self.left:
                self.ended_at = time.monotonic()
                await self._incoming.read()  # only who reads past the end tells the connection that it was reached
        finally:
            self.waited += time.monotonic() - began
            self._is_free.set()
        return part
