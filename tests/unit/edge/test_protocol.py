import asyncio
import gc
import json
import socket
import time
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count

import pytest
from sanic import Sanic
from sanic.response import json as json_response
from sanic.response import raw

from edge.application import Application
from edge.protocol import LEAVING_SECONDS, StrictHttp, StrictProtocol
from edge.reception import reception_of
from tests.builders.waiting import eventually_async

NUMBERS = count()
RECEPTIONS = []
SLOW_MAY_END = []
LARGE = 8_000_000
GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"


@pytest.fixture(autouse=True)
def _many_servers_in_one_process(monkeypatch):
    monkeypatch.setattr(Sanic, "test_mode", True)


async def answer(request):
    match request.path:
        case "/":
            await request.receive_body()
            return json_response({"length": len(request.body)})
        case "/slow":
            await SLOW_MAY_END[-1].wait()
            return json_response({})
        case "/large":
            return raw(b"x" * LARGE)
        case "/unread":
            return json_response({})
        case "/unread-long":
            answering = await request.respond(content_type="text/plain")
            for _ in range(3):
                await answering.send("part")
                await asyncio.sleep(0.5)
            await answering.eof()
            return None
    return json_response({}, status=404)


@asynccontextmanager
async def a_server(**config: float) -> AsyncIterator[int]:
    app = Application(f"strict-framing-{next(NUMBERS)}")
    app.config.update(
        {"REQUEST_TIMEOUT": 0.5, "RESPONSE_TIMEOUT": 3, "KEEP_ALIVE_TIMEOUT": 1, "REQUEST_MAX_SIZE": 1000} | config
    )
    app.handler = answer
    SLOW_MAY_END.append(asyncio.Event())
    RECEPTIONS.append(reception_of(app))

    @app.exception(Exception)
    async def tell(_, fault):
        return json_response({"why": str(fault)}, status=getattr(fault, "status_code", 500))

    listener = socket.create_server(("127.0.0.1", 0))
    server = await app.create_server(
        sock=listener, return_asyncio_server=True, protocol=StrictProtocol, access_log=False
    )
    await server.startup()
    await server.start_serving()
    try:
        yield listener.getsockname()[1]
    finally:
        await server.close()


async def exchange(port: int, *parts: bytes, pause: float = 0.0) -> bytes:
    """Send the parts, and read until the server closes or falls silent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def send() -> None:
        for part in parts:
            writer.write(part)
            await asyncio.sleep(pause)

    sending = asyncio.create_task(send())
    answer = b""
    try:
        while chunk := await asyncio.wait_for(reader.read(65536), 15):
            answer += chunk
            if pause:
                sending.cancel()
    except (TimeoutError, ConnectionResetError):
        return answer
    finally:
        sending.cancel()
        writer.close()
    return answer


async def small_buffered(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection of which the kernel keeps little, so that the server notices who does not read."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.connect(("127.0.0.1", port))
    return await asyncio.open_connection(sock=line)


async def until_the_end(reader: asyncio.StreamReader) -> bytes:
    """Everything that comes; who sends into a closed connection ends it with a reset."""
    answer = b""
    with suppress(ConnectionResetError):
        while chunk := await reader.read(65536):
            answer += chunk
    return answer


def until_cut(sent: bytes, drip: bytes, *, within: float, **config) -> bytes:
    """Everything that comes until the server ends the connection of a client who drips after what it sent."""

    async def scenario() -> bytes:
        async with a_server(**config) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            reading = asyncio.create_task(until_the_end(reader))
            async with asyncio.timeout(within):
                while not reading.done():
                    writer.write(drip)
                    await asyncio.wait([reading], timeout=0.1)
            writer.close()
            return reading.result()

    return asyncio.run(scenario())


def statuses(answer: bytes) -> list[int]:
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


@pytest.mark.parametrize(
    "sent", [b"", GET, GET + b"\r\n", POST + b"Content-Length: 9\r\n\r\n{"], ids=["nothing", "head", "all", "body"]
)
def test_a_connection_that_is_over_leaves_nothing_for_the_collector(sent):
    """Its passes stop the worker: with thousands of slow clients, for 40 ms at a time."""

    async def scenario():
        async with a_server(REQUEST_TIMEOUT=5) as port:
            seen = RECEPTIONS[-1]
            gc.collect()
            gc.disable()
            gc.set_debug(gc.DEBUG_SAVEALL)
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(sent)
                await eventually_async(lambda: seen.open_connections == 1)
                await asyncio.sleep(0.2)
                its_own = weakref.ref(next(iter(seen._guests)).heads)
                writer.close()
                await eventually_async(lambda: seen.open_connections == 0, within=10)
                await eventually_async(lambda: its_own() is None, within=3, what="the end of the connection's memory")
                gc.collect()
                return [kept for kept in gc.garbage if isinstance(kept, StrictProtocol | StrictHttp)]
            finally:
                gc.set_debug(0)
                gc.garbage.clear()
                gc.enable()

    assert asyncio.run(scenario()) == []


def ask(*parts: bytes, pause: float = 0.0) -> bytes:
    async def scenario() -> bytes:
        async with a_server() as port:
            return await exchange(port, *parts, pause=pause)

    return asyncio.run(scenario())


async def delivered(*parts: bytes) -> bytes:
    """The answer to a request that comes in exactly these packets, whatever a network would make of them."""
    async with a_server() as port:
        return await delivered_to(port, *parts)


async def delivered_to(port: int, *parts: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        await eventually_async(lambda: RECEPTIONS[-1].open_connections == 1)
        (connection,) = RECEPTIONS[-1]._guests
        for part in parts:
            connection.data_received(part)
            for _ in range(5):  # its task sees each by itself
                await asyncio.sleep(0)
        return await asyncio.wait_for(until_the_end(reader), 15)
    finally:
        writer.close()
        await eventually_async(lambda: RECEPTIONS[-1].open_connections == 0)


SPLIT = POST + b"Connection: close\r\nContent-Length: 6\r\n\r\n"
BODY = b"\n\0\n\r\n\n"


def test_a_head_may_be_cut_anywhere_and_its_body_is_no_part_of_it():
    whole = SPLIT + BODY

    async def scenario():
        async with a_server(REQUEST_TIMEOUT=30) as port:
            return {
                cut: await delivered_to(port, whole[:cut], whole[cut : cut + 1], whole[cut + 1 :])
                for cut in range(1, len(whole))
            }

    answers = asyncio.run(scenario())

    assert {cut: statuses(answer) for cut, answer in answers.items() if statuses(answer) != [200]} == {}
    assert all(answer.endswith(b'{"length":6}') for answer in answers.values())


def test_a_head_may_come_byte_by_byte():
    answer = asyncio.run(delivered(*[bytes([byte]) for byte in SPLIT + BODY]))

    assert statuses(answer) == [200]


@pytest.mark.parametrize(
    "parts",
    [
        (b"GET / HTTP/1.1", b"\n"),
        (b"GET / HTTP/1.1\r", b"\nHost: a", b"\n"),
        (GET, b"\n"),
        (GET + b"\r", b"X\n"),
        (GET + b"X: ", b"\0"),
        (GET + b"X: 1\r\n" * 90, b"\n"),
    ],
    ids=["line", "field", "end", "carriage return before", "nul", "long"],
)
def test_a08_a_line_feed_alone_or_a_nul_ends_the_connection_in_whichever_packet_it_comes(parts):
    async def scenario():
        async with a_server(REQUEST_TIMEOUT=30) as port:
            return await delivered_to(port, *parts)

    answer = asyncio.run(scenario())

    assert statuses(answer) == [400]
    assert b"connection: close" in answer


def test_a08_that_holds_for_the_next_request_of_a_connection_too():
    async def scenario():
        async with a_server(REQUEST_TIMEOUT=30, KEEP_ALIVE_TIMEOUT=30) as port:
            return await delivered_to(port, GET + b"\r\n", GET, b"X: 1\n")

    assert statuses(asyncio.run(scenario())) == [200, 400]


def test_a_proper_request_is_answered_without_naming_the_server():
    answer = ask(GET + b"Connection: close\r\n\r\n")

    assert statuses(answer) == [200]
    assert b"server:" not in answer.lower()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (POST + b"Content-Length : 38\r\n", 400),
        (POST + b"Transfer-Encoding : chunked\r\n", 400),
        (GET + b"Host: b\r\n", 400),
        (b"GET / HTTP/1.1\r\n", 400),
        (GET + b"X: 1\r\n folded\r\n", 400),
        (GET + b"X: \x00\r\n", 400),
        (POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n", 411),
        (GET + b"X: 1\r\n" * 120, 431),
        (GET + b"X: " + b"a" * 9000 + b"\r\n", 431),
    ],
)
def test_a_head_that_cannot_be_trusted_is_refused_and_what_follows_it_is_never_read(head, status):
    answer = ask(head + b"\r\n" + GET + b"\r\n")

    assert statuses(answer) == [status]
    assert b"connection: close" in answer


def test_a_head_larger_than_the_limit_is_refused_before_it_ends():
    answer = ask(GET + b"X: " + b"a" * 20_000)

    assert statuses(answer) == [431]


def test_a_body_larger_than_the_limit_is_refused():
    answer = ask(POST + b"Content-Length: 5000\r\n\r\n" + b"a" * 5000)

    assert statuses(answer) == [413]


def test_a13_a_header_that_drips_is_cut_off_by_the_clock_that_began_with_its_first_byte():
    began = time.monotonic()

    answer = ask(GET, *[b"X: 1\r\n"] * 200, pause=0.1)

    assert statuses(answer) == [408]
    assert time.monotonic() - began < 15


@pytest.mark.parametrize("drip", [b"", b"a"], ids=["stays away", "drips"])
def test_a13_a_body_that_does_not_come_in_time_is_told_so_and_then_not_waited_for_any_longer(drip):
    sent = POST + b"Content-Length: 100\r\n\r\n"
    patient = {"REQUEST_TIMEOUT": 3, "RESPONSE_TIMEOUT": 30, "KEEP_ALIVE_TIMEOUT": 30}

    assert statuses(until_cut(sent, drip, within=20, **patient)) == [408]


def test_a13_a_body_that_drips_is_the_clients_fault():
    answer = ask(POST + b"Content-Length: 100\r\n\r\n", *[b"a"] * 20, pause=0.1)

    assert statuses(answer) == [408]


@pytest.mark.parametrize("drip", [b"", b"a"], ids=["stays away", "drips"])
def test_a_body_that_comes_after_its_answer_keeps_no_connection_open(drip):
    sent = b"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"

    assert statuses(until_cut(sent, drip, within=15, KEEP_ALIVE_TIMEOUT=60, RESPONSE_TIMEOUT=60)) == [404]


def test_a_request_after_a_body_that_nobody_waited_for_is_answered():
    refused = b"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\naaaa"

    assert statuses(ask(refused, GET + b"\r\n", GET + b"Connection: close\r\n\r\n")) == [404, 200, 200]


def test_a_request_to_upgrade_stops_no_clock():
    answer = ask(POST + b"Upgrade: websocket\r\nContent-Length: 100\r\n\r\n", *[b"a"] * 20, pause=0.1)

    assert statuses(answer) == [408]


EXPECTING = b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"


def test_a_body_is_asked_for_once_it_is_wanted():
    assert statuses(ask(POST + EXPECTING + b"{}" + GET + b"Connection: close\r\n\r\n")) == [100, 200, 200]


def test_a_body_that_nobody_wants_is_not_asked_for_and_whether_it_comes_is_not_waited_for():
    for then in (b"", b"{}", GET + b"\r\n"):
        sent = b"POST /unread HTTP/1.1\r\nHost: a\r\n" + EXPECTING + then
        answer = until_cut(sent, b"", within=60, REQUEST_TIMEOUT=300, RESPONSE_TIMEOUT=300, KEEP_ALIVE_TIMEOUT=300)

        assert statuses(answer) == [200], then
        assert b"connection: close" in answer.lower()


def test_nor_is_it_waited_for_after_an_answer_that_took_long():
    sent = b"POST /unread-long HTTP/1.1\r\nHost: a\r\n" + EXPECTING
    answer = until_cut(sent, b"", within=60, REQUEST_TIMEOUT=300, RESPONSE_TIMEOUT=300, KEEP_ALIVE_TIMEOUT=300)

    assert statuses(answer) == [200]
    assert answer.endswith(b"4\r\npart\r\n" * 3 + b"0\r\n\r\n")


def test_a_client_of_http_1_0_is_not_told_what_it_does_not_know():
    assert statuses(ask(b"POST / HTTP/1.0\r\n" + EXPECTING + b"{}")) == [200]


def test_pipelined_requests_are_answered_in_order():
    bodies = [POST + b"Content-Length: %d\r\n\r\n" % size + b"a" * size for size in range(5)]

    answer = ask(*bodies)

    assert [json.loads(part.split(b"HTTP/1.1")[0]) for part in answer.split(b"\r\n\r\n")[1:]] == [
        {"length": size} for size in range(5)
    ]


def test_a_body_of_no_bytes_need_not_be_read(caplog):
    answer = ask(b"POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n" + GET + b"Connection: close\r\n\r\n")

    assert statuses(answer) == [200, 200]
    assert "body not consumed" not in caplog.text


def test_a13_a_silent_connection_is_told_so_and_closed():
    assert statuses(until_cut(b"", b"", within=20, REQUEST_TIMEOUT=0.5, KEEP_ALIVE_TIMEOUT=60)) == [408]


def test_a_connection_that_was_served_and_falls_silent_is_closed_without_another_word():
    sent = GET + b"\r\n"

    assert statuses(until_cut(sent, b"", within=20, REQUEST_TIMEOUT=60, KEEP_ALIVE_TIMEOUT=0.5)) == [200]


def test_who_has_said_nothing_is_closed_sooner_than_who_was_served():
    async def scenario() -> None:
        async with a_server(REQUEST_TIMEOUT=0.3, KEEP_ALIVE_TIMEOUT=20) as port:
            silent = await asyncio.open_connection("127.0.0.1", port)
            served = await asyncio.open_connection("127.0.0.1", port)
            served[1].write(GET + b"\r\n")
            await served[0].readuntil(b"}")
            assert statuses(await asyncio.wait_for(silent[0].read(), 12)) == [408]
            served[1].write(GET + b"\r\n")
            await served[0].readuntil(b"}")
            for _, writer in (silent, served):
                writer.close()

    asyncio.run(scenario())


def test_a14_who_does_not_read_the_answer_loses_the_connection_and_not_who_reads_it(caplog):
    async def scenario() -> tuple[int, int]:
        async with a_server(RESPONSE_TIMEOUT=3, KEEP_ALIVE_TIMEOUT=60) as port:
            slow, fast = [await small_buffered(port) for _ in range(2)]
            for _, writer in (slow, fast):
                writer.write(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
            whole = len(await fast[0].readexactly(LARGE))
            writer_side = slow[1].transport
            writer_side.pause_reading()
            await eventually_async(lambda: RECEPTIONS[-1].open_connections == 1)
            writer_side.resume_reading()
            part = len(await until_the_end(slow[0]))
            for _, writer in (slow, fast):
                writer.close()
            return part, whole

    part, whole = asyncio.run(scenario())

    assert part < LARGE
    assert whole == LARGE
    assert RECEPTIONS[-1].cut["unread"] == 1


def full_house(scenario):
    """Run it with a server that has two places."""

    async def run():
        async with a_server(REQUEST_TIMEOUT=5, KEEP_ALIVE_TIMEOUT=5) as port:
            RECEPTIONS[-1].most = 2
            lines = []
            try:
                return await scenario(port, lines)
            finally:
                for _, writer in lines:
                    writer.close()

    return asyncio.run(run())


async def arrival(port, lines, *sent):
    lines.append(await asyncio.open_connection("127.0.0.1", port))
    for part in sent:
        lines[-1][1].write(part)
    return lines[-1]


@pytest.mark.parametrize(
    ("sent", "told"),
    [(b"", []), (GET, [503]), (POST + b"Content-Length: 9\r\n\r\na", [503]), (GET + b"\r\n", [200])],
    ids=["says nothing", "drips its head", "drips its body", "idles"],
)
def test_when_all_places_are_taken_the_slowest_client_gives_up_its_own(sent, told, caplog):
    async def scenario(port, lines):
        slow = await arrival(port, lines, sent)
        await asyncio.sleep(0.05)
        await arrival(port, lines, GET)
        await asyncio.sleep(0.05)
        newcomer = await arrival(port, lines, GET + b"Connection: close\r\n\r\n")
        return await asyncio.gather(until_the_end(slow[0]), until_the_end(newcomer[0]))

    slow, newcomer = full_house(scenario)

    assert statuses(slow) == told
    assert statuses(newcomer) == [200]
    assert RECEPTIONS[-1].cut["full"] == 1
    assert caplog.text.count("Traceback") == 0


def test_a_connection_too_many_is_told_to_come_back_while_all_others_are_being_served():
    async def scenario(port, lines):
        busy = [await arrival(port, lines, b"GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") for _ in "ab"]
        await eventually_async(lambda: RECEPTIONS[-1].requests == len(busy))
        newcomer = await arrival(port, lines, GET + b"\r\n")
        told = await until_the_end(newcomer[0])
        SLOW_MAY_END[-1].set()
        return [*(await asyncio.gather(*(until_the_end(line[0]) for line in busy))), told]

    *busy, newcomer = full_house(scenario)

    assert [statuses(one) for one in busy] == [[200], [200]]
    assert statuses(newcomer) == [503]
    assert json.loads(newcomer.partition(b"\r\n\r\n")[2])["retryable"] is True


def test_an_answer_given_while_draining_ends_its_connection():
    async def scenario():
        async with a_server() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(GET + b"\r\n")
            first = await reader.readuntil(b"}")
            RECEPTIONS[-1].drain()
            writer.write(GET + b"\r\n")
            last = await asyncio.wait_for(reader.read(), 12)
            writer.close()
            return first, last

    first, last = asyncio.run(scenario())

    assert b"connection: keep-alive" in first
    assert b"connection: close" in last


def test_a_second_head_that_drips_is_cut_off_though_its_connection_might_have_idled_for_long():
    async def scenario():
        async with a_server(REQUEST_TIMEOUT=0.5, KEEP_ALIVE_TIMEOUT=20, RESPONSE_TIMEOUT=20) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(GET + b"\r\n")
            await reader.readuntil(b"}")
            writer.write(GET)
            last = await asyncio.wait_for(reader.read(), 12)
            writer.close()
            return last

    assert statuses(asyncio.run(scenario())) == [408]


@pytest.mark.parametrize("sent", [b"", GET, POST + b"Content-Length: 9\r\n\r\n{"], ids=["nothing", "head", "body"])
def test_who_is_slow_has_little_time_once_the_worker_drains(sent):
    async def scenario():
        async with a_server(REQUEST_TIMEOUT=30, RESPONSE_TIMEOUT=30, KEEP_ALIVE_TIMEOUT=30) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            await asyncio.sleep(0.2)
            RECEPTIONS[-1].drain()
            last = await asyncio.wait_for(until_the_end(reader), 6 * LEAVING_SECONDS)
            writer.close()
            return last

    assert statuses(asyncio.run(scenario())) == ([408] if sent else [])


def test_who_hangs_up_in_the_middle_of_a_body_leaves_nothing_running():
    async def scenario():
        async with a_server(REQUEST_TIMEOUT=30, RESPONSE_TIMEOUT=30) as port:
            before = len(asyncio.all_tasks())
            for path in (b"/", b"/unread"):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\nhalf" % path)
                await writer.drain()
                await eventually_async(lambda: len(asyncio.all_tasks()) > before, within=3)
                writer.close()
                await writer.wait_closed()
                await eventually_async(lambda: len(asyncio.all_tasks()) == before, within=5, what="the end of its task")

    asyncio.run(scenario())
