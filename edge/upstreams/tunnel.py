"""WebSockets: the handshake is passed on like any request, then bytes flow both ways until one side has had enough."""

from __future__ import annotations

import asyncio
import re
from time import monotonic
from typing import TYPE_CHECKING, Any

import structlog
from sanic import HTTPResponse
from sanic.exceptions import SanicException
from sanic.http import Stage

from edge.heads import head_of
from edge.upstreams.delivery import LOOK_SECONDS, Delivered, patience, request_of
from edge.upstreams.failures import Broken, Unreached, Unusable
from edge.upstreams.headers import to_client
from edge.upstreams.refusals import refusal_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sanic import Request

    from edge.discovery.table import Instance
    from edge.upstreams.headers import Fields
    from edge.upstreams.policy import HttpPolicy
    from edge.upstreams.pool import Outgoing
    from edge.upstreams.way import Lease

log = structlog.get_logger()

MOST_HEAD_BYTES = 16_384
PART_BYTES = 65_536
SWITCHING = 101
_AGREED = {"connection": "upgrade", "upgrade": "websocket"}
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [^\x00-\x08\x0a-\x1f\x7f]*)?")
_TOO_OLD = (b"0", b"101")
_FIELD = re.compile(rb"([A-Za-z0-9!#$%&'*+.^_`|~-]+):[\t ]*([^\x00-\x08\x0a-\x1f\x7f]*?)[\t ]*")
_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")


def asks_for_websocket(request: Request) -> bool:
    """Whether this is a handshake as RFC 6455, section 4.2.1 wants it. Anything less is an ordinary request."""
    headers = request.headers
    connection = ",".join(headers.getall("connection", [])).lower()
    return (
        request.method == "GET"
        and request.version == "1.1"
        and headers.getall("upgrade", []) in (["websocket"], ["WebSocket"], ["Websocket"])
        and "upgrade" in {part.strip() for part in connection.split(",")}
        and headers.getall("sec-websocket-version", []) == ["13"]
        and _KEY.fullmatch(headers.get("sec-websocket-key", "")) is not None
        and headers.get("content-length", "0") == "0"
    )


class Side:
    """The connection to the service, once it has agreed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fields: Fields) -> None:
        self.reader = reader
        self.writer = writer
        self.fields = fields

    def close(self) -> None:
        """At once: whoever tunnels has no more to say."""
        self.writer.close()


async def shake_hands(instance: Instance, outgoing: Outgoing) -> Side | HTTPResponse:
    """Pass the handshake on; gives the service's own answer when it does not agree. Raises what ``failures`` names."""
    try:
        async with asyncio.timeout(outgoing.connect):
            reader, writer = await asyncio.open_connection(instance.address, instance.port, limit=MOST_HEAD_BYTES)
    except (OSError, TimeoutError) as fault:
        raise Unreached(repr(fault)[:200]) from None
    agreed = False
    try:
        writer.write(_head_of(f"{instance.host}:{instance.port}", outgoing))
        status, fields = _head_read(await reader.readuntil(b"\r\n\r\n"))
        agreed = status == SWITCHING
        return Side(reader, writer, fields) if agreed else await refusal_of(reader, status, fields)
    except (asyncio.IncompleteReadError, OSError) as fault:
        raise Broken(repr(fault)[:200]) from None
    except (asyncio.LimitOverrunError, ValueError) as fault:
        raise Unusable(str(fault)[:200]) from None
    finally:
        if not agreed:
            writer.close()


class Tunnel(Delivered):
    """The service has agreed; the client hears of it last. ``has_ended`` says whether the caller's session is over."""

    __slots__ = ("_has_ended", "_lease", "_policy", "_side")

    def __init__(self, side: Side, lease: Lease, policy: HttpPolicy, *, has_ended: Callable[[], bool]) -> None:
        super().__init__(status=SWITCHING)
        for name, value in to_client(side.fields):
            self.headers.add(name, value)
        self._side, self._lease, self._policy, self._has_ended = side, lease, policy, has_ended

    async def deliver(self, request: Request) -> None:
        """Switch, then pass on bytes until a side ends, nobody speaks for too long, or the session or the edge ends."""
        stream: Any = request.stream
        protocol: Any = request.protocol
        try:
            with patience(request, answer=self._policy.silence):
                await protocol.send(self._head())
                await self._relay(request)
        except (OSError, SanicException) as fault:
            log.info("upstream.tunnel.broken", reason=repr(fault)[:200], **request_of(self))
        finally:
            self._side.close()
            self._lease.release()
            self._be_answered(request, stream)

    def _head(self) -> bytes:
        fields = [(name, value) for name, value in self.headers.items() if name.lower() not in _AGREED]
        return head_of(SWITCHING, [*fields, *_AGREED.items()])

    async def _relay(self, request: Request) -> None:
        """Both ways at once; the first way that ends takes the other one with it."""
        protocol: Any = request.protocol
        ways = [
            asyncio.ensure_future(work)
            for work in (self._to_service(protocol), self._to_client(protocol), self._watch(protocol))
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _to_service(self, protocol: Any) -> None:
        buffer = protocol.recv_buffer
        while True:
            if not buffer:
                await protocol.receive_more()
            protocol._time = monotonic()  # noqa: SLF001 - its clock must know that somebody speaks, as when it sends
            part = bytes(buffer)
            del buffer[:]
            self._side.writer.write(part)
            await self._side.writer.drain()

    async def _to_client(self, protocol: Any) -> None:
        while part := await self._side.reader.read(PART_BYTES):
            await protocol.send(part)

    async def _watch(self, protocol: Any) -> None:
        """Until nobody has spoken, or the tunnel has lasted, for as long as it may, or session or worker end."""
        end = monotonic() + self._policy.longest
        while (now := monotonic()) < end and not protocol.reception.is_draining and not self._has_ended():
            if now - protocol._time > self._policy.silence:  # noqa: SLF001 - as above
                return
            await asyncio.sleep(min(LOOK_SECONDS, self._policy.silence / 4))

    def _be_answered(self, request: Request, stream: Any) -> None:
        """Sanic must believe that the request is answered, and the connection at its end."""
        request.responded = True
        if stream is not None:
            stream.response, stream.response_func = self, None
            stream.stage, stream.keep_alive = Stage.IDLE, False
            self.stream = stream


def _head_of(host: str, outgoing: Outgoing) -> bytes:
    """The handshake as it goes out. Nothing of it can hold a line end: the client's head was read strictly."""
    fields = [*outgoing.fields, ("host", host), ("connection", "Upgrade"), ("upgrade", "websocket")]
    lines = [f"GET {outgoing.target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode(errors="surrogateescape")


def _head_read(head: bytes) -> tuple[int, Fields]:
    """Status and fields of the service's answer. Raises ``ValueError`` when it is no HTTP."""
    first, *lines = head[:-4].split(b"\r\n")
    status = _STATUS.fullmatch(first)
    read = [_FIELD.fullmatch(line) for line in lines]
    if status is None or None in read or status.groups() == _TOO_OLD:
        raise ValueError(f"the answer to the handshake is malformed: {first[:80]!r}")
    pairs = [(field[1].decode().lower(), field[2].decode(errors="surrogateescape")) for field in read if field]
    return int(status[2]), pairs
