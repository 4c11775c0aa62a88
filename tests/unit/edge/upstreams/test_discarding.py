"""The rest of a body that no service will have: read where a client could not hear the answer else, never asked for."""

import asyncio

import pytest

from edge.upstreams.upload import Upload
from tests.builders.gateway import a_gateway, a_route

pytestmark = pytest.mark.anyio


class Parts:
    def __init__(self, *parts, expecting_continue):
        self.left = [*parts, None]
        self.expecting_continue = expecting_continue

    async def read(self):
        return self.left.pop(0)


@pytest.mark.parametrize(("expecting", "left"), [(False, []), (True, [b"ab", b"cd", None])])
async def test_a_body_is_read_to_its_end_unless_its_client_waits_to_be_asked(expecting, left):
    parts = Parts(b"ab", b"cd", expecting_continue=expecting)

    await Upload(parts, 4).discard()

    assert parts.left == left


@pytest.mark.parametrize("body", [b"", b"{}"])
async def test_who_waits_to_be_asked_for_a_body_that_nobody_can_take_is_told_so_and_not_asked(tmp_path, body):
    upload = a_route(method="POST", idempotency="none")
    async with a_gateway(tmp_path, upload) as edge:
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        writer.write(b"POST /things/x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n" + body)
        told = await asyncio.wait_for(reader.read(), 60)
        writer.close()

    assert told.startswith(b"HTTP/1.1 503")
    assert told.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in told.lower()
