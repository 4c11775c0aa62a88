"""Instances that Consul knows by an IPv6 address."""

import asyncio

import pytest

from edge.discovery.table import Instance
from tests.builders.gateway import a_gateway, a_route
from tests.builders.upstream import Upstream

pytestmark = pytest.mark.anyio

HANDSHAKE = (
    b"GET /things/x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"


class Upstream6(Upstream):
    async def __aenter__(self):
        self.asked, self.connections, self.made = [], set(), 0
        self.server = await asyncio.start_server(self._serve, "::1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    @property
    def instance(self):
        return Instance(id=self.name, service="things", address="::1", port=self.port)


async def echoing(_asked, reader, writer):
    writer.write(SWITCHED)
    while part := await reader.read(100):
        writer.write(part)
        await writer.drain()


@pytest.mark.parametrize(
    ("address", "host"), [("10.0.0.1", "10.0.0.1"), ("things.local", "things.local"), ("2001:db8::1", "[2001:db8::1]")]
)
def test_only_an_address_of_the_sixth_version_stands_in_brackets(address, host):
    assert Instance(id="a", service="things", address=address, port=1).host == host


async def test_a_request_reaches_it(tmp_path):
    async with Upstream6("a") as one, a_gateway(tmp_path, a_route()) as edge:
        edge.there_are(one)
        response = await edge.client.get("/things/x?q=1")

    (asked,) = one.asked
    assert response.status_code == 200
    assert (asked.target, asked.value("host")) == ("/things/x?q=1", f"[::1]:{one.port}")


async def test_a_tunnel_reaches_it(tmp_path):
    async with Upstream6("a", echoing) as one, a_gateway(tmp_path, a_route(http={"websocket": True})) as edge:
        edge.there_are(one)
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        writer.write(HANDSHAKE)
        async with asyncio.timeout(60):
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(b"hello")
            heard = await reader.readexactly(5)
        writer.close()

    assert head.startswith(b"HTTP/1.1 101")
    assert heard == b"hello"
    assert one.asked[0].value("host") == f"[::1]:{one.port}"
