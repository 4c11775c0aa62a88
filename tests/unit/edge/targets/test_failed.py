import asyncio

import pytest

from tests.fakes.edge import collaborators, serving

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "head",
    [
        "nonsense\r\n\r\n",
        "GET / HTTP/3.0\r\nHost: x\r\n\r\n",
        "GET /\xe9 HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /api/users HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nX: " + "x" * 20_000 + "\r\n\r\n",
    ],
    ids=lambda head: repr(head[:20]),
)
async def test_what_is_no_request_gets_a_problem_document_and_the_end_of_the_connection(head):
    async with serving(collaborators()) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        writer.write(head.encode("latin-1"))
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()

    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 431"))
    assert b"application/problem+json" in answer
    assert b"connection: close" in answer
    assert b"x-request-id" in answer
