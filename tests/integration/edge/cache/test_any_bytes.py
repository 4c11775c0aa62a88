"""A header need be no text (RFC 9110, section 5.5): who gets a kept answer gets it to the byte, whoever fetched it."""

import asyncio
import time
from contextlib import asynccontextmanager

import msgspec
import pytest

from edge.cache.answering import ResponseCache
from edge.cache.entries import Entry
from edge.cache.shared import SharedStore
from edge.redis_client import make_redis
from tests.builders.gateway import a_gateway, a_route
from tests.builders.upstream import Upstream, answer
from tests.builders.waiting import eventually_async

pytestmark = pytest.mark.anyio

ROUTE = a_route(cache={"ttl": 60})
ASKING = b"GET /things/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
OF_ITS_OWN = (
    b'content-disposition: attachment; filename="caf\xe9.json"',
    b'content-type: text/plain; name="\xff\xfe"',
    "x-own: größer".encode(),
    b"x-own: \x80",
)
LIFE = 60.0
TAGS = ("all",)


@asynccontextmanager
async def a_store(server):
    """A busy machine must not look like an absent Redis."""
    client = make_redis(server.url, patience=5.0)
    try:
        yield SharedStore(client, patience=2.0)
    finally:
        await client.aclose()


async def in_odd_words(_asked, _reader, writer):
    head, end, body = answer(b"{}", "cache-control: public, max-age=60").partition(b"\r\n\r\n")
    writer.write(b"\r\n".join([head, *OF_ITS_OWN]) + end + body)
    await writer.drain()
    return True


async def heard(edge):
    """The answer's own fields as a client gets them, and where they come from."""
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    writer.write(ASKING)
    async with asyncio.timeout(60):
        head, _, _ = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    lines = head.split(b"\r\n")
    own = sorted(line for line in lines if line.startswith((b"content-disposition", b"content-type", b"x-own")))
    return own, [line for line in lines if line.startswith(b"cache-status")]


async def test_an_answer_comes_to_all_as_it_came_from_the_service(redis_server, tmp_path):
    found = []
    async with Upstream("a", in_odd_words) as one:
        for _ in range(2):  # one worker fetches it, another one finds it in Redis
            async with a_store(redis_server) as store:
                cache = ResponseCache(shared=store)
                async with a_gateway(tmp_path, ROUTE, cache=cache) as edge:
                    edge.there_are(one)
                    found += [await heard(edge), await heard(edge)]
                    await eventually_async(lambda of=cache: not of.fetching.tasks, what="Redis to have it")
        asked = len(one.asked)

    assert [own for own, _ in found] == [sorted(OF_ITS_OWN)] * 4
    hit = [b"cache-status: kirana; hit"]
    assert [told for _, told in found] == [[b"cache-status: kirana; fwd=miss; stored"], hit, hit, hit]
    assert asked == 1


async def test_what_another_release_wrote_is_a_miss(redis_server):
    entry = Entry(
        key="key", body=b"", content_type=None, headers=[("x-own", "größer")], tags=TAGS, fetched_at=time.time(),
        ttl=5.0, while_revalidating=1.0, if_error=2.0,
    )  # fmt: skip
    async with a_store(redis_server) as store:
        with redis_server.client as client:
            client.flushall()
        look = await store.look("key", TAGS, life=LIFE)
        await store.store(entry, look.generations, life=LIFE)
        before = (await store.look("key", TAGS, life=LIFE)).entry
        with redis_server.client as client:
            (name,) = client.keys("cache:entry:*")
            client.set(name, msgspec.msgpack.encode((look.generations, entry)))

        after = await store.look("key", TAGS, life=LIFE)

    assert before == entry
    assert (after.entry, after.generations) == (None, look.generations)
