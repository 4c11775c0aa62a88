"""Bodies of fifty megabytes, slow readers and broken ends: nothing is kept, and nobody waits for ever."""

import asyncio
import gc
import socket
from contextlib import asynccontextmanager, suppress

import psutil
import pytest

from tests.builders.gateway import a_gateway, a_route
from tests.builders.upstream import Upstream
from tests.builders.waiting import eventually_async

pytestmark = pytest.mark.anyio

MEGABYTE = 1_000_000
WHOLE = 50 * MEGABYTE
PART = b"x" * 50_000
POST = a_route(
    "send", "POST", idempotency="accepted", deadline=60, http={"body_limit": WHOLE, "silence": 60, "longest": 120}
)


class Memory:
    """How much this process, which holds client, edge and service, has grown at most."""

    def __init__(self):
        gc.collect()
        self._process = psutil.Process()
        self._before = self._process.memory_info().rss
        self.grown = 0

    def look(self):
        self.grown = max(self.grown, self._process.memory_info().rss - self._before)


@asynccontextmanager
async def connected(port, *, buffer=None):
    near = socket.socket()
    if buffer:
        near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    near.setblocking(False)  # noqa: FBT003 - the name says it
    await asyncio.get_running_loop().sock_connect(near, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=near, limit=65_536)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def echo(asked, reader, writer):
    """Answer with the body while it comes."""
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    left = int(asked.value("content-length"))
    while left:
        part = await reader.read(min(left, 65_536))
        left -= len(part)
        writer.write(b"%x\r\n%b\r\n" % (len(part), part))
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


async def test_fifty_megabytes_pass_both_ways_at_once_and_none_of_it_is_kept(tmp_path):
    async with (
        Upstream("a", echo, reads_bodies=False) as one,
        a_gateway(tmp_path, POST) as edge,
        connected(edge.port) as (reader, writer),
    ):
        edge.there_are(one)
        memory, received = Memory(), 0

        async def send():
            writer.write(
                b"POST /things/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % WHOLE
            )
            for _ in range(WHOLE // len(PART)):
                writer.write(PART)
                await writer.drain()

        sending = asyncio.ensure_future(send())
        head = await reader.readuntil(b"\r\n\r\n")
        while (size := int(await reader.readline(), 16)) > 0:
            received += len(await reader.readexactly(size + 2)) - 2
            memory.look()
        await sending

    assert head.startswith(b"HTTP/1.1 200")
    assert received == WHOLE
    assert memory.grown < WHOLE / 2


async def test_a_reader_who_stops_stops_the_service_and_gets_everything_later(tmp_path):
    sent = 0

    async def pour(_asked, _reader, writer):
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % WHOLE)
        while sent < WHOLE:
            writer.write(PART)
            await writer.drain()
            sent += len(PART)
        return True

    route = a_route(http={"silence": 60})
    async with (
        Upstream("a", pour) as one,
        a_gateway(tmp_path, route) as edge,
        connected(edge.port, buffer=65_536) as (reader, writer),
    ):
        edge.there_are(one)
        memory = Memory()
        writer.write(b"GET /things/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        await _settled(lambda: sent)
        stopped_at = sent
        memory.look()
        received = 0
        await reader.readuntil(b"\r\n\r\n")
        while part := await reader.read(65_536):
            received += len(part)

    assert stopped_at < WHOLE - 10 * MEGABYTE
    assert memory.grown < WHOLE / 2
    assert received == WHOLE


async def test_a_service_that_does_not_take_a_body_stops_its_sender(tmp_path):
    taking = asyncio.Event()

    async def wait_then_take(asked, reader, writer):
        await taking.wait()
        await reader.readexactly(int(asked.value("content-length")))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        return True

    sent = 0
    async with (
        Upstream("a", wait_then_take, reads_bodies=False) as one,
        a_gateway(tmp_path, POST) as edge,
        connected(edge.port) as (reader, writer),
    ):
        edge.there_are(one)
        memory = Memory()

        async def send():
            nonlocal sent
            writer.write(b"POST /things/x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % WHOLE)
            while sent < WHOLE:
                writer.write(PART)
                await writer.drain()
                sent += len(PART)

        sending = asyncio.ensure_future(send())
        await eventually_async(lambda: one.asked, what="the request to begin")
        await _settled(lambda: sent)
        stopped_at = sent
        memory.look()
        taking.set()
        head = await reader.readuntil(b"\r\n\r\n")
        await sending

    assert stopped_at < WHOLE - 10 * MEGABYTE
    assert memory.grown < WHOLE / 2
    assert head.startswith(b"HTTP/1.1 204")


async def test_an_answer_that_drips_passes_and_one_that_stops_is_cut(tmp_path):
    async def drip(_asked, reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(3):
            writer.write(b"1\r\nx\r\n")
            await asyncio.sleep(0.1)
        await reader.read()

    async with (
        Upstream("a", drip) as one,
        a_gateway(tmp_path, a_route(http={"silence": 3})) as edge,
        connected(edge.port) as (reader, writer),
    ):
        edge.there_are(one)
        writer.write(b"GET /things/x HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        body = b""
        with suppress(ConnectionResetError):
            async with asyncio.timeout(10):
                while part := await reader.read(100):
                    body += part
        await eventually_async(lambda: not one.connections, what="the service to be told")

    assert body == b"1\r\nx\r\n" * 3


async def test_a_body_that_stays_away_is_the_clients_fault_and_frees_the_service(tmp_path):
    route = POST | {"deadline": 0.5}
    async with (
        Upstream("a") as one,
        a_gateway(tmp_path, route) as edge,
        connected(edge.port) as (reader, writer),
    ):
        edge.there_are(one)
        writer.write(b"POST /things/x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        async with asyncio.timeout(10):
            got = await reader.read()
        await eventually_async(lambda: not one.connections, what="the service to be told")
        figures, outcomes = edge.service.figures(), dict(edge.way("send").outcomes)

    assert got.startswith(b"HTTP/1.1 408")
    assert figures["in_flight"] == 0
    assert outcomes == {"abandoned": 1}


async def test_clients_that_send_their_last_byte_too_late_open_no_breaker_and_eject_nobody(tmp_path):
    async def steadily(_asked, _reader, writer):
        await asyncio.sleep(0.5)
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        return True

    async def send_late(port):
        async with connected(port) as (reader, writer):
            writer.write(b"POST /things/x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{")
            await asyncio.sleep(0.8)
            writer.write(b"}")
            return (await reader.readuntil(b"\r\n"))[9:12]

    async with (
        Upstream("a", steadily) as one,
        Upstream("b", steadily) as two,
        a_gateway(tmp_path, POST | {"deadline": 1}) as edge,
    ):
        edge.there_are(one, two)
        statuses = set(await asyncio.gather(*(send_late(edge.port) for _ in range(14))))
        breaker, ejected = edge.way("send").breaker_state.value, edge.service.figures()["ejected"]
        outcomes = dict(edge.way("send").outcomes)

    assert statuses <= {b"504", b"408"}  # on a slow machine the last byte itself comes too late
    assert (breaker, ejected) == ("closed", 0)
    assert outcomes == {"abandoned": 14}


async def test_an_early_no_reaches_a_client_that_is_still_sending(tmp_path):
    async def refuse(_asked, _reader, writer):
        writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno")
        await writer.drain()

    async with (
        Upstream("a", refuse, reads_bodies=False) as one,
        a_gateway(tmp_path, POST) as edge,
        connected(edge.port) as (reader, writer),
    ):
        edge.there_are(one)
        writer.write(b"POST /things/x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % MEGABYTE)
        writer.write(b"x" * (MEGABYTE // 2))
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"x" * (MEGABYTE // 2))
        async with asyncio.timeout(10):
            body = await reader.read()

    assert head.startswith(b"HTTP/1.1 403")
    assert b"connection: close" in head
    assert body == b"no"


@pytest.mark.parametrize("way", ["half", "reset"])
async def test_a_client_that_hangs_up_in_the_middle_ends_the_request_at_the_service(tmp_path, way):
    async with (
        Upstream("a", echo, reads_bodies=False) as one,
        a_gateway(tmp_path, POST) as edge,
        connected(edge.port) as (_, writer),
    ):
        edge.there_are(one)
        writer.write(b"POST /things/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc")
        await eventually_async(lambda: one.asked, what="the request to begin")
        if way == "half":
            writer.write_eof()
        else:
            writer.transport.abort()
        await eventually_async(lambda: not one.connections, what="the service to be told")
        await eventually_async(lambda: edge.service.figures()["in_flight"] == 0, what="the place to be free")


async def _settled(look):
    """Wait until what ``look`` sees has stopped growing."""
    before = -1
    while look() != before or before <= 0:
        before = look()
        await asyncio.sleep(0.3)
