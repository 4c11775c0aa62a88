"""One HTTP/1.1 connection's requests and answers: heads are read by our own reader, and whole answers sent at once."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Awaitable, Callable
from typing import Any

from sanic.http import Http, Stage

from edge.framing import LONGEST_LINE, FramingViolation, is_spoilt
from edge.heads import date_line, date_now, head_of

HEAD_END = b"\r\n\r\n"
BODILESS = frozenset({204, 304})

IDLE, REQUEST, HANDLER, RESPONSE = Stage.IDLE, Stage.REQUEST, Stage.HANDLER, Stage.RESPONSE
"""By name alone: to take a member from its class costs a tenth of a microsecond, and each request asks many times."""

ANSWERING = (HANDLER, RESPONSE)


class StrictHttp(Http):
    """Reads heads itself, and only once: what was checked is what the request is made of.

    ``before_end`` is waited for when a body's last part has come, before whoever reads it is given that.
    """

    __slots__ = ("before_end",)
    before_end: Callable[[], Awaitable[None]] | None

    def __init__(self, protocol: Any) -> None:
        super().__init__(protocol)  # type: ignore[no-untyped-call]  # Sanic leaves it untyped
        self.before_end = None

    def __bool__(self) -> bool:
        """Whether a request is being answered; Sanic asks several times for each."""
        return self.stage in ANSWERING

    async def http1(self) -> None:
        """Serve a connection to its end, and leave nothing that refers to itself: the collector stops all others."""
        try:
            await super().http1()  # type: ignore[no-untyped-call]  # Sanic leaves it untyped
        finally:
            self.response_func = None  # type: ignore[assignment]  # as below
            for part in (self.request, self.response):
                if part is not None:
                    part.stream = None

    async def http1_request_header(self) -> None:
        """Receive and read the head, and make the request of it. Raises what ``HeadReader.read`` does."""
        try:
            raw = await self._whole_head()
        except CancelledError:
            if (
                self.protocol.conn_info is None or self.protocol.conn_info.lost
            ):  # Sanic would now tell of the request, and there is none
                raise ConnectionAbortedError from None
            raise
        protocol: Any = self.protocol
        method, target, version, header = protocol.heads.read(raw)
        self.url = target
        self.head_only = method == "HEAD"
        self.keep_alive = header.keep_alive and protocol.keeps_alive
        self.expecting_continue = header.expects_continue and header.length > 0
        request = protocol.request_class(
            url_bytes=target.encode(),
            headers=header.fields,
            head=raw,
            version=version,
            method=method,
            transport=protocol.transport,
            app=protocol.app,
        )
        protocol.request_class._current.set(request)  # noqa: SLF001  # where Sanic's own reading puts it
        self.request_bytes_left = self.request_bytes = header.length
        self.request_body = True if header.length else None  # type: ignore[assignment]  # as Sanic itself sets it
        del self.recv_buffer[: len(raw) + len(HEAD_END)]
        self.request, request.stream = request, self
        protocol.state["requests_count"] += 1
        protocol.took_request()

    async def read(self) -> bytes | None:
        """The next part of the body; ``None`` after the last."""
        part: bytes | None = await super().read()
        if self.before_end is not None and part and not self.request_bytes_left:
            self.request_body = None  # from here on the client waits for us, and not we for the client
            await self.before_end()
        return part

    def respond(self, response: Any) -> Any:
        """Begin the answer; while the worker drains it is the connection's last."""
        protocol: Any = self.protocol
        if protocol.reception.is_draining:
            self.keep_alive = False
        return super().respond(response)

    async def http1_response_header(self, data: bytes, end_stream: bool) -> None:  # noqa: FBT001 - Sanic's signature
        """Send a whole answer with its body at once; whatever is not that is left to Sanic.

        Every answer has a ``Date``: one that is passed on, or was kept, that of its origin.
        """
        response: Any = self.response
        if self.expecting_continue:  # the answer needs no body: none is asked for, and whether one comes nobody knows
            self.expecting_continue = self.keep_alive = False
            protocol: Any = self.protocol
            protocol.end_soon()
        body: bytes = data or getattr(response, "body", None) or b""
        is_whole = bool(body) and (end_stream or not data)
        if not is_whole or self.head_only or response.status in BODILESS:
            response.headers.setdefault("date", date_now())
            await super().http1_response_header(data, end_stream)
            return
        headers = response.headers
        headers["content-length"] = len(body)
        headers["connection"] = "keep-alive" if self.keep_alive else "close"
        if response.content_type:
            headers.setdefault("content-type", response.content_type)
        self.response_func = None  # type: ignore[assignment]  # as Sanic says that nothing more may be sent
        self.response_size = len(body)
        date = b"" if "date" in headers else date_line()
        await self._send(head_of(response.status, headers.items(), date=date) + body)
        self.stage = IDLE

    async def _whole_head(self) -> bytes:
        seen = 0
        while (end := self.recv_buffer.find(HEAD_END, max(0, seen - 3))) == -1:
            if is_spoilt(self.recv_buffer, seen):  # as long as it has no end, all of the buffer belongs to the head
                raise FramingViolation("A line of the head is malformed.", status_code=400)
            seen = len(self.recv_buffer)
            if seen - 3 >= self.HEADER_MAX_SIZE:
                break
            await self._receive_more()
        if end == -1 or end >= self.HEADER_MAX_SIZE:
            if self.recv_buffer.find(b"\r\n", 0, LONGEST_LINE + 2) == -1:
                raise FramingViolation("The request line is too long.", status_code=414)
            raise FramingViolation("The request header is too large.", status_code=431)
        return bytes(self.recv_buffer[:end])
