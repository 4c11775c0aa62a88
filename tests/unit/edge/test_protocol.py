import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import pytest
from sanic import Sanic
from sanic.response import json as json_response

from edge.protocol import StrictProtocol

NUMBERS = count()
GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"


@pytest.fixture(autouse=True)
def _many_servers_in_one_process(monkeypatch):
    monkeypatch.setattr(Sanic, "test_mode", True)


@asynccontextmanager
async def a_server() -> AsyncIterator[int]:
    app = Sanic(f"strict-framing-{next(NUMBERS)}", configure_logging=False)
    app.config.update(
        {"REQUEST_TIMEOUT": 0.5, "RESPONSE_TIMEOUT": 3, "KEEP_ALIVE_TIMEOUT": 1, "REQUEST_MAX_SIZE": 1000}
    )

    @app.route("/", methods=["GET", "POST"])
    async def echo(request):
        return json_response({"length": len(request.body)})

    @app.route("/unread", methods=["POST"], stream=True)
    async def leave_unread(_):
        return json_response({})

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
        while chunk := await asyncio.wait_for(reader.read(65536), 2):
            answer += chunk
            if pause:
                sending.cancel()
    except (TimeoutError, ConnectionResetError):
        return answer
    finally:
        sending.cancel()
        writer.close()
    return answer


def statuses(answer: bytes) -> list[int]:
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


def ask(*parts: bytes, pause: float = 0.0) -> bytes:
    async def scenario() -> bytes:
        async with a_server() as port:
            return await exchange(port, *parts, pause=pause)

    return asyncio.run(scenario())


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


def test_a_header_that_drips_is_cut_off_by_the_clock_that_began_with_its_first_byte():
    began = time.monotonic()

    answer = ask(GET, *[b"X: 1\r\n"] * 20, pause=0.1)

    assert statuses(answer) == [408]
    assert time.monotonic() - began < 3


def test_a_body_that_drips_is_the_clients_fault():
    answer = ask(POST + b"Content-Length: 100\r\n\r\n", *[b"a"] * 20, pause=0.1)

    assert statuses(answer) == [408]


@pytest.mark.parametrize("drip", [b"", b"a"], ids=["stays away", "drips"])
def test_a_body_that_comes_after_its_answer_keeps_no_connection_open(drip):
    async def scenario() -> bytes:
        async with a_server() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
            reading = asyncio.create_task(reader.read())
            async with asyncio.timeout(2.5):
                while not reading.done():
                    writer.write(drip)
                    await asyncio.wait([reading], timeout=0.1)
            writer.close()
            return reading.result()

    assert statuses(asyncio.run(scenario())) == [404]


def test_a_request_after_a_body_that_nobody_waited_for_is_answered():
    refused = b"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\naaaa"

    assert statuses(ask(refused, GET + b"\r\n", GET + b"Connection: close\r\n\r\n")) == [404, 200, 200]


def test_a_request_to_upgrade_stops_no_clock():
    answer = ask(POST + b"Upgrade: websocket\r\nContent-Length: 100\r\n\r\n", *[b"a"] * 20, pause=0.1)

    assert statuses(answer) == [408]


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


def test_a_silent_connection_is_closed():
    assert ask() == b""


def test_a_connection_too_many_is_told_to_come_back(monkeypatch):
    monkeypatch.setattr("edge.protocol.MOST_CONNECTIONS", 1)

    async def scenario() -> tuple[bytes, bytes]:
        async with a_server() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(GET + b"\r\n")
            first = await reader.readuntil(b"}")
            second = await exchange(port, GET + b"\r\n")
            writer.close()
            return first, second

    first, second = asyncio.run(scenario())

    assert statuses(first) == [200]
    assert statuses(second) == [503]
    assert json.loads(second.partition(b"\r\n\r\n")[2])["retryable"] is True
