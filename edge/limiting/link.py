"""One connection to Redis, written and read in callbacks: every request waits for it, so no task is made for any."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any, Self, cast

import hiredis
from redis.asyncio.connection import parse_url

Answer = Any
Tell = Callable[[Answer], None]
"""Takes the answer, or the exception instead of it. Must not raise."""

_INCOMPLETE = object()
_NAME = "kirana-edge-limits"


class RedisLink(asyncio.Protocol):
    """Speaks RESP 2. Every question gets its answer, or the fault that ended the connection."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader(notEnoughData=_INCOMPLETE)
        self._waiting: deque[Tell] = deque()
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect and log in. Raises ``OSError`` or ``hiredis.ReplyError``."""
        options = cast("dict[str, Any]", parse_url(url))
        loop = asyncio.get_running_loop()
        if path := options.get("path"):
            _, link = await loop.create_unix_connection(cls, path)
        else:
            encrypted = _encryption(options) if url.startswith("rediss:") else None
            _, link = await loop.create_connection(
                cls, options.get("host", "localhost"), options.get("port", 6379), ssl=encrypted
            )
        try:
            if password := options.get("password"):
                await link.call("AUTH", *([options["username"]] if options.get("username") else []), password)
            await link.call("CLIENT", "SETNAME", _NAME)
            if database := options.get("db"):
                await link.call("SELECT", database)
        except BaseException:
            link.abort()
            raise
        return link

    @property
    def is_open(self) -> bool:
        """Whether a question can be asked."""
        return self._transport is not None

    def ask(self, question: tuple[str | bytes | float, ...], tell: Tell) -> None:
        """Send a command; ``tell`` is called once, in a callback. Raises ``ConnectionError`` if there is nobody."""
        if self._transport is None:
            raise ConnectionError("the link is closed")
        self._waiting.append(tell)
        self._transport.write(hiredis.pack_command(question))  # type: ignore[arg-type]  # its stub forgets the "..."

    async def call(self, *question: str | bytes | float) -> Answer:
        """Send a command and wait. Raises what the server or the connection says against it."""
        seat: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def tell(answer: Answer) -> None:
            if seat.done():
                return
            if isinstance(answer, Exception):
                seat.set_exception(answer)
            else:
                seat.set_result(answer)

        self.ask(question, tell)
        return await seat

    def abort(self) -> None:
        """End at once; who waits is told in a moment."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Questions can be asked."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Hand out what is whole. What is no RESP ends the connection."""
        self._reader.feed(data)
        try:
            while (answer := self._reader.gets()) is not _INCOMPLETE:
                self._waiting.popleft()(answer)
        except (hiredis.ProtocolError, IndexError):
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who waits."""
        self._transport = None
        fault = ConnectionError(f"the link was lost: {exc}")
        while self._waiting:
            self._waiting.popleft()(fault)


def _encryption(options: dict[str, Any]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=options.get("ssl_ca_certs"))
