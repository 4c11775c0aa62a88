"""What lasts (tunnels, streams of events) ends soon after its caller's session, or after that cannot be known."""

import asyncio
import time
from contextlib import asynccontextmanager, suppress

import pytest

from edge.plugins import Caller, Plugin
from edge.revocations import DEAF_SECONDS
from tests.builders.gateway import a_gateway, a_route
from tests.builders.plugins import Packages
from tests.builders.upstream import Upstream
from tests.fakes.edge import KEY_ID, a_token, public_key

pytestmark = pytest.mark.anyio

BESIDES = a_route("besides", path="/besides/{rest}", auth="required")
LOG_OUT = {
    "name": "log_out", "method": "POST", "path": "/log_out", "summary": "End", "tag": "Things", "local": "log_out",
    "limits": None, "idempotency": "accepted", "answer": {"status": 204},
    "arguments": {"session_id": "caller.session_id", "user_id": "caller.user_id"},
}  # fmt: skip
STREAM = a_route(auth="optional")
TUNNEL = a_route(auth="optional", http={"websocket": True})
HANDSHAKE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
LOOKS = 2.5
"""Seconds in which is looked at least twice."""

kinds = pytest.mark.parametrize("route", [TUNNEL, STREAM], ids=["tunnel", "stream"])


async def talking(asked, _reader, writer):
    """Says something ten times a second, in a tunnel or without."""
    writer.write(SWITCHED if asked.value("upgrade") else EVENTS)
    with suppress(OSError, RuntimeError):
        while not writer.transport.is_closing():
            writer.write(b"data: x\n\n")
            await writer.drain()
            await asyncio.sleep(0.1)


@asynccontextmanager
async def listening(tmp_path, route, *others, token=None):
    """An edge, and a client's end of what lasts."""
    async with Upstream("a", talking) as one, a_gateway(tmp_path, route, BESIDES, *others) as edge:
        edge.there_are(one)
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        shaking = HANDSHAKE if route["http"].get("websocket") else ""
        shown = f"Authorization: Bearer {token}\r\n" if token else ""
        writer.write(f"GET /things/x HTTP/1.1\r\nHost: a\r\n{shaking}{shown}\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head[9:12] in {b"101", b"200"}
        yield edge, reader
        writer.transport.abort()


async def ends(reader):
    async with asyncio.timeout(60):
        with suppress(ConnectionResetError):
            while await reader.read(65_536):
                pass
    return True


async def goes_on(reader):
    """Past what had come until now, and several looks."""
    until = time.monotonic() + LOOKS
    async with asyncio.timeout(60):
        while time.monotonic() < until:
            if not await reader.read(65_536):
                return False
    return True


def hear_nothing_for(edge, seconds):
    """The feed has just gone, and so much time goes by without it."""
    sessions = edge.parts.revocations
    sessions.lose_touch()
    sessions._monotonic = lambda: time.monotonic() + seconds


@kinds
async def test_it_ends_with_its_callers_session(tmp_path, route):
    async with listening(tmp_path, route, token=a_token(sid="mine")) as (edge, reader):
        edge.parts.revocations.add("another", 2**40)
        assert await goes_on(reader)

        edge.parts.revocations.add("mine", 2**40)

        assert await ends(reader)
        assert edge.service.figures()["ejected"] == 0


@kinds
async def test_it_ends_when_the_key_that_signed_for_its_caller_is_withdrawn(tmp_path, route):
    async with listening(tmp_path, route, token=a_token()) as (edge, reader):
        edge.parts.rpc.answers["get_jwks"] = {"keys": [public_key(), public_key(key_id="next")]}
        await edge.parts.keys.turned([KEY_ID, "next"])
        assert await goes_on(reader)

        edge.parts.rpc.answers["get_jwks"] = {"keys": [public_key(key_id="next")]}
        await edge.parts.keys.turned(["next"])

        assert await ends(reader)


@kinds
async def test_it_ends_when_nobody_can_know_any_more_which_sessions_have_ended(tmp_path, route):
    token = a_token()
    async with listening(tmp_path, route, token=token) as (edge, reader):
        hear_nothing_for(edge, DEAF_SECONDS + 1)

        assert await ends(reader)
        refused = await edge.client.get("/besides/x", headers={"authorization": f"Bearer {token}"})

    assert refused.status_code == 503


@kinds
async def test_it_goes_on_while_the_feed_is_away_for_a_moment_and_when_it_is_back(tmp_path, route):
    async with listening(tmp_path, route, token=a_token()) as (edge, reader):
        hear_nothing_for(edge, DEAF_SECONDS - 60)
        assert await goes_on(reader)

        edge.parts.revocations.hear_all()
        edge.parts.revocations._monotonic = lambda: time.monotonic() + DEAF_SECONDS + 60

        assert await goes_on(reader)


@kinds
async def test_a_guest_has_no_session_that_could_end(tmp_path, route):
    async with listening(tmp_path, route) as (edge, reader):
        hear_nothing_for(edge, DEAF_SECONDS + 1)

        assert await goes_on(reader)


@pytest.fixture
def badges(tmp_path, monkeypatch):
    """What a route needs to know its callers by a plugin."""

    async def badge(request, proceed):
        request.caller = Caller(request.headers.get("x-badge", "user-1"))
        return await proceed(request)

    packages = Packages(tmp_path / "packages", monkeypatch)
    packages.offer(badge=Plugin(place="before authenticate", make=lambda _options, _settings: badge))
    return {"auth": "required", "plugins": [{"name": "badge"}]}


@kinds
async def test_nor_has_a_caller_whom_a_plugin_knows(tmp_path, badges, route):
    async with listening(tmp_path, route | badges) as (edge, reader):
        hear_nothing_for(edge, DEAF_SECONDS + 1)

        assert await goes_on(reader)


@kinds
async def test_such_a_caller_who_logs_out_ends_nothing_of_the_others(tmp_path, badges, route):
    async with listening(tmp_path, route | badges, LOG_OUT | badges) as (edge, reader):
        edge.parts.rpc.answers["revoke_session"] = {}
        answer = await edge.client.post("/log_out", headers={"x-badge": "another"})

        assert answer.status_code == 204
        assert await goes_on(reader)
