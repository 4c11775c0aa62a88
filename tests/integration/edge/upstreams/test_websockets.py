"""WebSockets through the edge, with a client and a server that are not ours."""

import asyncio

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

from edge.discovery.table import Instance
from tests.builders.gateway import SERVICE, a_gateway, a_route
from tests.builders.upstream import Upstream, answer
from tests.builders.waiting import eventually_async
from tests.fakes.edge import a_token

pytestmark = pytest.mark.anyio

TUNNEL = a_route(http={"websocket": True, "silence": 60})


class Chat:
    """Says everything back; ``bye`` ends it."""

    def __init__(self):
        self.heads, self.open = [], 0

    async def __aenter__(self):
        self._server = await serve(self._talk, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self.instance = Instance(id="chat", service=SERVICE, address="127.0.0.1", port=self.port)
        return self

    async def __aexit__(self, *_):
        self._server.close()
        await self._server.wait_closed()

    async def _talk(self, connection):
        self.heads.append(connection.request)
        self.open += 1
        try:
            async for message in connection:
                if message == "bye":
                    await connection.close(4001, "as you wish")
                    return
                await connection.send(message)
        except ConnectionClosed:
            return
        finally:
            self.open -= 1


def at(edge, path="/things/room"):
    return f"ws://127.0.0.1:{edge.port}{path}"


async def test_what_is_said_comes_back_however_long_it_is_and_the_end_is_told(tmp_path):
    async with Chat() as chat, a_gateway(tmp_path, TUNNEL) as edge:
        edge.there_are(chat)
        async with connect(at(edge), max_size=None) as socket:
            heard = []
            for message in ("hello", b"\x00\xff", "x" * 300_000):
                await socket.send(message)
                heard.append(await socket.recv())
            in_flight = edge.service.figures()["in_flight"]
            await socket.send("bye")
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
        await eventually_async(lambda: edge.service.figures()["in_flight"] == 0, what="the tunnel to be over")

    assert heard == ["hello", b"\x00\xff", "x" * 300_000]
    assert in_flight == 1
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "as you wish")


async def test_the_handshake_tells_who_calls_and_hides_what_it_should(tmp_path):
    route = TUNNEL | {"auth": "required"}
    headers = {"Authorization": f"Bearer {a_token()}", "X-User-Id": "admin"}
    async with Chat() as chat, a_gateway(tmp_path, route) as edge:
        edge.there_are(chat)
        with pytest.raises(InvalidStatus) as refused:
            await connect(at(edge))
        async with connect(at(edge), additional_headers=headers) as socket:
            await socket.send("hello")
            await socket.recv()
            answered = socket.response.headers

    (head,) = chat.heads
    assert refused.value.response.status_code == 401
    assert head.headers.get_all("x-user-id") == ["user-1"]
    assert "authorization" not in head.headers
    assert answered["x-request-id"] == head.headers["x-request-id"]


async def test_a_service_that_does_not_want_to_switch_is_quoted(tmp_path):
    async def refuse(_asked, _reader, writer):
        writer.write(answer(b"members only", "x-why: rules", status=403, reason="Forbidden"))
        await writer.drain()
        return True

    async with Upstream("a", refuse) as one, a_gateway(tmp_path, TUNNEL) as edge:
        edge.there_are(one)
        with pytest.raises(InvalidStatus) as refused:
            await connect(at(edge))
        figures = edge.service.figures()

    response = refused.value.response
    assert (response.status_code, response.body, response.headers["x-why"]) == (403, b"members only", "rules")
    assert figures["in_flight"] == 0


async def test_nobody_there_is_a_503_for_a_handshake_too(tmp_path):
    async with a_gateway(tmp_path, TUNNEL) as edge:
        with pytest.raises(InvalidStatus) as refused:
            await connect(at(edge))

    assert refused.value.response.status_code == 503


async def test_a_tunnel_where_nobody_speaks_is_ended(tmp_path):
    route = a_route(http={"websocket": True, "silence": 2})
    async with Chat() as chat, a_gateway(tmp_path, route) as edge:
        edge.there_are(chat)
        async with connect(at(edge), ping_interval=None) as socket:
            for _ in range(6):
                await socket.send("still here")
                await socket.recv()
                await asyncio.sleep(0.5)
            async with asyncio.timeout(10):
                with pytest.raises(ConnectionClosed):
                    await socket.recv()
        await eventually_async(lambda: chat.open == 0, what="the service to be told")


async def test_a_client_that_vanishes_takes_its_tunnel_along(tmp_path):
    async with Chat() as chat, a_gateway(tmp_path, TUNNEL) as edge:
        edge.there_are(chat)
        socket = await connect(at(edge))
        await socket.send("hello")
        await socket.recv()
        socket.transport.abort()
        await eventually_async(lambda: chat.open == 0, what="the service to be told")
        await eventually_async(lambda: edge.service.figures()["in_flight"] == 0, what="the place to be free")


async def test_a_tunnel_ends_when_the_worker_drains(tmp_path):
    async with Chat() as chat, a_gateway(tmp_path, TUNNEL) as edge:
        edge.there_are(chat)
        async with connect(at(edge)) as socket:
            await socket.send("hello")
            await socket.recv()
            edge.reception.drain()
            async with asyncio.timeout(10):
                with pytest.raises(ConnectionClosed):
                    await socket.recv()


async def test_a_tunnel_ends_soon_after_the_session_of_its_caller(tmp_path):
    headers = {"Authorization": f"Bearer {a_token(sid='ended')}"}
    async with Chat() as chat, a_gateway(tmp_path, TUNNEL | {"auth": "required"}) as edge:
        edge.there_are(chat)
        async with connect(at(edge), additional_headers=headers) as socket:
            await socket.send("hello")
            await socket.recv()
            edge.parts.revocations.add("ended", 2**40)
            async with asyncio.timeout(10):
                with pytest.raises(ConnectionClosed):
                    await socket.recv()
