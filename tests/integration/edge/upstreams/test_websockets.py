"""WebSockets through the edge, with a client and a server that are not ours."""

import asyncio
from contextlib import AsyncExitStack

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


def known_as(name):
    return {"Authorization": f"Bearer {a_token(sub=name)}"}


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


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 401 Unauthorized\r\ntransfer-encoding: chunked\r\n\r\n5\r\nno no\r\n0\r\n\r\n",
        b"HTTP/1.0 401 Unauthorized\r\n\r\nno no",
    ],
    ids=["chunked", "to the end"],
)
async def test_however_a_service_says_no_it_has_answered_and_is_not_broken(tmp_path, said):
    async def refuse(_asked, _reader, writer):
        writer.write(said)
        await writer.drain()

    async with Upstream("a", refuse) as one, Upstream("b", refuse) as two, a_gateway(tmp_path, TUNNEL) as edge:
        edge.there_are(one, two)
        responses = []
        for _ in range(12):
            with pytest.raises(InvalidStatus) as refused:
                await connect(at(edge))
            responses.append((refused.value.response.status_code, bytes(refused.value.response.body)))
        breaker, ejected = edge.way().breaker_state.value, edge.service.figures()["ejected"]

    assert set(responses) == {(401, b"no no")}
    assert (breaker, ejected) == ("closed", 0)


@pytest.mark.parametrize(
    "nonsense",
    [
        b"SSH-2.0-OpenSSH_9\r\n\r\n",
        b"HTTP/1.0 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
    ids=["no http", "too old a switch", "not the last word"],
)
async def test_what_is_no_answer_to_a_handshake_is_a_502(tmp_path, nonsense):
    async def talk(_asked, _reader, writer):
        writer.write(nonsense)
        await writer.drain()

    async with Upstream("a", talk) as one, a_gateway(tmp_path, TUNNEL) as edge:
        edge.there_are(one)
        with pytest.raises(InvalidStatus) as refused:
            await connect(at(edge))
        outcomes = dict(edge.way().outcomes)

    assert refused.value.response.status_code == 502
    assert outcomes == {"failed": 1}


async def test_tunnels_take_no_place_of_the_services_other_requests(tmp_path):
    few = {"websocket": True, "connections": 3, "silence": 60}
    live = a_route("live", path="/live/{rest}", auth="optional", http=few)
    plain = a_route(http={"connections": 3})
    async with Chat() as chat, a_gateway(tmp_path, live, plain) as edge, AsyncExitStack() as tunnels:
        edge.there_are(chat)
        for name in ("ann", "bob", "eve"):
            await tunnels.enter_async_context(connect(at(edge, "/live/room"), additional_headers=known_as(name)))
        with pytest.raises(InvalidStatus) as one_too_many:
            await connect(at(edge, "/live/room"), additional_headers=known_as("zoe"))
        plain_answer = await edge.client.get("/things/x")

    assert one_too_many.value.response.status_code == 503
    assert plain_answer.status_code == 426  # the service's own word: it wants nothing but WebSockets


def by_way_of(address):
    return {"X-Forwarded-For": address}


@pytest.mark.parametrize(
    ("one", "the_same", "another"),
    [
        (known_as("ann"), known_as("ann"), known_as("bob")),
        (by_way_of("192.0.2.1"), by_way_of("192.0.2.1"), by_way_of("192.0.2.2")),
        (by_way_of("2001:db8::1"), by_way_of("2001:db8::2"), by_way_of("2001:db8:0:1::1")),
        (by_way_of("192.0.2.1"), by_way_of("192.0.2.1"), known_as("192.0.2.1") | by_way_of("192.0.2.1")),
    ],
    ids=["callers", "guests", "guests of one network", "a guest and a caller"],
)
async def test_nobody_keeps_the_others_from_a_service(tmp_path, one, the_same, another):
    route = a_route(auth="optional", http={"websocket": True, "connections": 4, "silence": 60})
    async with Chat() as chat, a_gateway(tmp_path, route, trusted_proxies=("127.0.0.1",)) as edge:
        edge.there_are(chat)
        async with connect(at(edge), additional_headers=one):
            with pytest.raises(InvalidStatus) as second:
                await connect(at(edge), additional_headers=the_same)
            async with connect(at(edge), additional_headers=another) as other:
                await other.send("hello")
                heard = await other.recv()
        await eventually_async(lambda: edge.service.figures()["in_flight"] == 0, what="the tunnels to be over")
        async with connect(at(edge), additional_headers=one) as again:
            await again.send("back")
            heard_again = await again.recv()

    assert second.value.response.status_code == 503
    assert (heard, heard_again) == ("hello", "back")


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
