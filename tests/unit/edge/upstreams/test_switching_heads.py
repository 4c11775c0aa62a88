"""The head of a WebSocket's agreement: every field of the service's own, as often as it said it."""

import asyncio

import pytest

from edge.upstreams.tunnel import Side, Tunnel
from tests.builders.gateway import a_gateway, a_route
from tests.builders.upstream import Upstream

pytestmark = pytest.mark.anyio

HANDSHAKE = (
    b"GET /things/x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


async def switched(tmp_path, *fields):
    """The lines that a client hears of a service that agrees in these words."""

    async def agree(_asked, _reader, writer):
        writer.write(b"\r\n".join([b"HTTP/1.1 101 Switching Protocols", *fields, b"", b""]))
        await writer.drain()

    async with Upstream("a", agree) as one, a_gateway(tmp_path, a_route(http={"websocket": True})) as edge:
        edge.there_are(one)
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        writer.write(HANDSHAKE)
        async with asyncio.timeout(60):
            head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
    return head[:-4].split(b"\r\n")


async def test_a_field_that_is_said_twice_is_passed_on_twice_in_its_order(tmp_path):
    lines = await switched(
        tmp_path,
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Set-Cookie: a=1",
        b"Link: </a>",
        b"Set-Cookie: b=2",
        b"X-Own: caf\xe9",
    )

    assert lines[0] == b"HTTP/1.1 101 Switching Protocols"
    assert [line for line in lines if line.startswith(b"set-cookie:")] == [b"set-cookie: a=1", b"set-cookie: b=2"]
    assert {b"link: </a>", b"x-own: caf\xe9"} <= set(lines)


async def test_the_connections_own_fields_are_the_edges_and_said_once(tmp_path):
    lines = await switched(
        tmp_path, b"Connection: upgrade, x-own", b"Upgrade: websocket", b"X-Own: 1", b"Keep-Alive: 5"
    )

    own = [line for line in lines if line.startswith((b"connection:", b"upgrade:", b"x-own:", b"keep-alive:"))]
    assert sorted(own) == [b"connection: upgrade", b"upgrade: websocket"]


@pytest.mark.parametrize("name", ["connection", "Connection"])
def test_nothing_that_a_stage_says_of_the_connection_undoes_the_agreement(name):
    tunnel = Tunnel(Side(None, None, []), None, None, has_ended=bool)
    tunnel.headers[name] = "close"

    lines = tunnel._head().split(b"\r\n")

    assert lines == [b"HTTP/1.1 101 Switching Protocols", b"connection: upgrade", b"upgrade: websocket", b"", b""]
