"""HTTP/1.1 as strictly as it is written: Sanic's own parser forgives too much, and its clocks restart on every byte."""

from __future__ import annotations

from asyncio import CancelledError, Future
from time import monotonic
from typing import Any

from sanic.exceptions import RequestTimeout, SanicException, ServiceUnavailable
from sanic.http import Http, Stage
from sanic.server.protocols.http_protocol import HttpProtocol

from edge.brief import brief
from edge.framing import LONGEST_LINE, FramingViolation, HeadReader
from edge.heads import head_of
from edge.reception import holder_of, reception_of

LEAVING_SECONDS = 2.0
"""While the worker drains, nobody is waited for longer than this: neither for a request nor for the rest of one."""

MOST_BUFFERED = 65_536
HEAD_END = b"\r\n\r\n"
BODILESS = frozenset({204, 304})


class StrictHttp(Http):
    """Reads heads itself, and only once: what was checked is what the request is made of."""

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

    def respond(self, response: Any) -> Any:
        """Begin the answer; while the worker drains it is the connection's last."""
        protocol: Any = self.protocol
        if protocol.reception.is_draining:
            self.keep_alive = False
        return super().respond(response)

    async def http1_response_header(self, data: bytes, end_stream: bool) -> None:  # noqa: FBT001 - Sanic's signature
        """Send a whole answer with its body at once; whatever is not that is left to Sanic."""
        response: Any = self.response
        body: bytes = data or getattr(response, "body", None) or b""
        is_whole = bool(body) and (end_stream or not data)
        if not is_whole or self.head_only or self.expecting_continue or response.status in BODILESS:
            await super().http1_response_header(data, end_stream)
            return
        headers = response.headers
        headers["content-length"] = len(body)
        headers["connection"] = "keep-alive" if self.keep_alive else "close"
        if response.content_type:
            headers.setdefault("content-type", response.content_type)
        self.response_func = None  # type: ignore[assignment]  # as Sanic says that nothing more may be sent
        self.response_size = len(body)
        await self._send(head_of(response.status, headers.items()) + body)
        self.stage = Stage.IDLE

    async def _whole_head(self) -> bytes:
        searched = 0
        while (end := self.recv_buffer.find(HEAD_END, searched)) == -1:
            searched = max(0, len(self.recv_buffer) - 3)
            if searched >= self.HEADER_MAX_SIZE:
                break
            await self._receive_more()
        if end == -1 or end >= self.HEADER_MAX_SIZE:
            if self.recv_buffer.find(b"\r\n", 0, LONGEST_LINE + 2) == -1:
                raise FramingViolation("The request line is too long.", status_code=414)
            raise FramingViolation("The request header is too large.", status_code=431)
        return bytes(self.recv_buffer[:end])


class StrictProtocol(HttpProtocol):
    """Deadlines instead of idle timers, and a bound on connections."""

    HTTP_CLASS = StrictHttp
    __slots__ = ("_is_new", "_is_paused", "_more", "_unread_since", "heads", "holder", "keeps_alive", "reception")

    def __init__(self, *, app: Any, **more: Any) -> None:
        super().__init__(app=app, **more)
        self.reception = reception_of(app)
        self.holder = ""
        self.heads = HeadReader()
        self.keeps_alive = bool(app.config.KEEP_ALIVE)
        self._is_new = True
        self._is_paused = False
        self._more: Future[None] | None = None
        self._unread_since: float | None = None

    def connection_made(self, transport: Any) -> None:
        """Take the connection, if there is room or somebody slow can be asked to leave."""
        if self.reception.open_connections >= self.reception.most and not self.reception.make_room():
            transport.write(_full())
            transport.close()
            return
        self._time = monotonic()
        super().connection_made(transport)  # type: ignore[no-untyped-call]  # Sanic leaves it untyped
        self.holder = holder_of(self.conn_info.client_ip if self.conn_info else "")
        self.reception.welcome(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Clean up, unless the connection was turned away. What runs for it is cancelled, and answers nobody."""
        if self.conn_info is None:
            return
        self.reception.farewell(self)
        if self.http is not None:
            self.http.stage = Stage.FAILED
            self.http.request_body = None  # or its task would go on waiting for the rest of a body that cannot come
        super().connection_lost(exc)  # type: ignore[no-untyped-call]  # Sanic leaves it untyped

    def data_received(self, data: bytes) -> None:
        """Take in bytes. Only the first ones of a request set its clock: a byte a second keeps nothing alive.

        What is left of a body after its answer still belongs to that request. A head wakes its task only when it is
        whole, so that a dripping one costs next to nothing.
        """
        if self.conn_info is None:
            return
        http = self.http
        if http is None or (http.stage is Stage.IDLE and not _has_unread_body(http)):
            self._time = monotonic()
            if http is not None and self._is_turned_away(data):
                return
        buffer = self.recv_buffer
        buffer += data
        if len(buffer) >= MOST_BUFFERED and self.transport and not self._is_paused:
            self._is_paused = True
            self.transport.pause_reading()
        if http is None or http.stage is not Stage.REQUEST or _is_enough(http, len(data)):
            more = self._more
            if more is not None and not more.done():
                more.set_result(None)

    def _is_turned_away(self, data: bytes) -> bool:
        """Whether a request that came alone and whole was answered at the door; the connection's task sleeps on."""
        doorkeeper = self.reception.doorkeeper
        if doorkeeper is None or not doorkeeper.is_watched or self.reception.is_draining:
            return False
        if self.http is None or not self.http.keep_alive:  # what still comes belongs to a request that was answered
            return False
        end = data.find(HEAD_END)
        is_alone = end == len(data) - len(HEAD_END) and not self.recv_buffer
        if not is_alone or end >= StrictHttp.HEADER_MAX_SIZE or self._unread_since is not None or not self.transport:
            return False
        try:
            method, target, _, header = self.heads.read(data[:end])
        except SanicException:  # it will be told so in the usual way
            return False
        answer = doorkeeper.turn_away(method, target, header)
        if answer is None:
            return False
        self.took_request()
        self.transport.write(answer)
        return True

    async def receive_more(self) -> None:
        """Wait for bytes: once for every request, so not by way of an event, as Sanic does in three times the time."""
        if self._is_paused and self.transport:
            self._is_paused = False
            self.transport.resume_reading()
        self._more = self.loop.create_future()
        await self._more

    def took_request(self) -> None:
        """A whole head has come."""
        self._is_new = False
        self.reception.requests += 1

    def pause_writing(self) -> None:
        """The client does not read what it asked for: from now on its time runs."""
        self._unread_since = monotonic()
        super().pause_writing()  # type: ignore[no-untyped-call]  # Sanic leaves it untyped

    def resume_writing(self) -> None:
        """Nearly all of it was read."""
        self._unread_since = None
        super().resume_writing()  # type: ignore[no-untyped-call]  # Sanic leaves it untyped

    @property
    def waits_since(self) -> float | None:
        """Since when the worker waits for this client: for a request, the rest of one, or that it reads."""
        if self._unread_since is not None:
            return self._unread_since
        http = self.http
        if http is None or http.stage in {Stage.IDLE, Stage.REQUEST} or _has_unread_body(http):
            return self._time
        return None

    def leave(self) -> None:
        """Give up the place now: told so, if the client can be expected to listen."""
        self.connections.discard(self)
        if self._unread_since is not None:
            self.abort()  # type: ignore[no-untyped-call]  # Sanic leaves it untyped
            return
        if self.http is not None and self.http.stage is not Stage.IDLE and self.transport:
            self.transport.write(_full())
        self.close()

    def close_if_idle(self) -> bool:
        """Sanic asks when the worker stops. Who has just come may have sent a first request already."""
        if self._is_new and monotonic() - self._time < LEAVING_SECONDS:
            return False
        return bool(super().close_if_idle())

    def check_timeouts(self) -> None:
        """End what is overdue, and look again soon. A body that stays away is the client's fault (408), not ours (503).

        Where the answer was given already, or nothing was asked, the connection just ends.
        """
        http = self.http
        if self._task is None or http is None:
            return
        now = monotonic()
        if self._unread_since is not None and now - self._unread_since > self.response_timeout:
            self.reception.cut["unread"] += 1
            self.abort()  # type: ignore[no-untyped-call]  # Sanic leaves it untyped
            return
        patience, fault = self._patience(http)
        if now - self._time > patience:
            if http.stage is Stage.REQUEST:
                self._give_up_on_head()
                return
            http.exception = fault
            self._task.cancel()
            return
        shortest = min(self.request_timeout, self.response_timeout, self.keep_alive_timeout)
        self._callback_check_timeouts = self.loop.call_later(max(0.1, min(1.0, shortest / 4)), self.check_timeouts)

    def _give_up_on_head(self) -> None:
        """Slow clients may be many: what they get must cost little."""
        self.reception.cut["late"] += 1
        if self.transport:
            self.transport.write(brief("request.timeout", "The request did not arrive in time."))
        self.close()

    def _patience(self, http: Any) -> tuple[float, SanicException | None]:
        """How many seconds this stage may take, and what it ends with."""
        waiting = min(self.request_timeout, LEAVING_SECONDS) if self.reception.is_draining else self.request_timeout
        if http.stage is Stage.REQUEST or (http.stage in {Stage.HANDLER, Stage.IDLE} and _has_unread_body(http)):
            return waiting, RequestTimeout("The request did not arrive in time.", quiet=True)
        if http.stage is Stage.IDLE:
            return (waiting if self._is_new else self.keep_alive_timeout), None
        return self.response_timeout, ServiceUnavailable("The answer took too long.", quiet=True)


def _full() -> bytes:
    return brief("service.unavailable", "All connections are taken.")


def _is_enough(http: Any, fresh: int) -> bool:
    """Whether the head in the buffer, of whose bytes the last ``fresh`` are new, is whole or already too large."""
    size = len(http.recv_buffer)
    return bool(size > http.HEADER_MAX_SIZE or http.recv_buffer.find(HEAD_END, max(0, size - fresh - 3)) != -1)


def _has_unread_body(http: Any) -> bool:
    """Whether the request's body has not been read to its end. Before the first request there is no such attribute."""
    return bool(getattr(http, "request_body", None))
