"""HTTP/1.1 as strictly as it is written: Sanic's own parser forgives too much, and its clocks restart on every byte."""

from __future__ import annotations

from time import monotonic
from typing import Any

from sanic.exceptions import RequestTimeout, SanicException
from sanic.http import Http, Stage
from sanic.server.protocols.http_protocol import HttpProtocol

from edge.framing import violation_of

MOST_CONNECTIONS = 4000
"""Per worker. One more is told to come back later, in fewer words than it would take to serve it."""

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: 1\r\n"
    b"connection: close\r\ncontent-length: 102\r\n\r\n"
    b'{"type":"about:blank","title":"Service Unavailable","status":503,"code":"overloaded","retryable":true}'
)


class FramingViolation(SanicException):
    """The head cannot be trusted: answered with its status, and the connection ends."""

    quiet = True


class StrictHttp(Http):
    """Checks the whole head before Sanic reads it."""

    async def http1_request_header(self) -> None:
        """Receive and check the head, then let Sanic parse it. Raises ``FramingViolation``."""
        violation = violation_of(await self._whole_head())
        if violation is not None:
            raise FramingViolation(violation.sentence, status_code=violation.status)
        await super().http1_request_header()  # type: ignore[no-untyped-call]  # Sanic leaves it untyped
        if not self.request_bytes_left:
            self.request_body = None  # a length of zero announces no body that somebody would have to read
        self.upgrade_websocket = False  # there are none here, and Sanic stops all clocks for them

    async def _whole_head(self) -> bytes:
        searched = 0
        while (end := self.recv_buffer.find(b"\r\n\r\n", searched)) == -1:
            searched = max(0, len(self.recv_buffer) - 3)
            if searched >= self.HEADER_MAX_SIZE:
                break
            await self._receive_more()
        if end == -1 or end >= self.HEADER_MAX_SIZE:
            raise FramingViolation("The request header is too large.", status_code=431)
        return bytes(self.recv_buffer[:end])


class StrictProtocol(HttpProtocol):
    """Deadlines instead of idle timers, and a bound on connections."""

    HTTP_CLASS = StrictHttp
    __slots__ = ()

    def connection_made(self, transport: Any) -> None:
        """Take the connection, if there is room."""
        if len(self.connections) >= MOST_CONNECTIONS:
            transport.write(_FULL)
            transport.close()
            return
        super().connection_made(transport)  # type: ignore[no-untyped-call]  # Sanic leaves it untyped

    def connection_lost(self, exc: Exception | None) -> None:
        """Clean up, unless the connection was turned away."""
        if self.conn_info is not None:
            super().connection_lost(exc)  # type: ignore[no-untyped-call]  # Sanic leaves it untyped

    def data_received(self, data: bytes) -> None:
        """Take in bytes. Only the first ones of a request set its clock: a byte a second keeps nothing alive.

        What is left of a body after its answer still belongs to that request.
        """
        if self.conn_info is None:
            return
        began = self._time
        is_idle = self.http is None or (self.http.stage is Stage.IDLE and not _has_unread_body(self.http))
        super().data_received(data)
        if not is_idle:
            self._time = began

    def check_timeouts(self) -> None:
        """Sanic's checks, and one more: a body that does not arrive is the client's fault (408), not ours (503).

        Where the answer was given already, the connection just ends.
        """
        http: Any = self.http
        if (
            self._task is not None
            and http is not None
            and http.stage in {Stage.HANDLER, Stage.IDLE}
            and _has_unread_body(http)
            and monotonic() - self._time > self.request_timeout
        ):
            http.exception = RequestTimeout("The body did not arrive in time.", quiet=True)
            self._task.cancel()
            return
        super().check_timeouts()  # type: ignore[no-untyped-call]  # Sanic leaves it untyped


def _has_unread_body(http: Any) -> bool:
    """Whether the request's body has not been read to its end. Before the first request there is no such attribute."""
    return bool(getattr(http, "request_body", None))
