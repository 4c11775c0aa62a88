"""What all workers keep together in Redis is never older than a purge, and never in the way when Redis is."""

import time
from contextlib import asynccontextmanager

import pytest

from edge.cache.entries import Entry
from edge.cache.shared import SharedStore
from edge.redis_client import make_redis
from tests.builders.waiting import eventually_async

pytestmark = pytest.mark.anyio

LIFE = 60.0
TAGS = ("all", "path:/a", "product:7")


@asynccontextmanager
async def stores(server, count=1):
    """Shared stores of so many workers, on an empty Redis. A busy machine must not look like an absent Redis."""
    clients = [make_redis(server.url, patience=5.0) for _ in range(count)]
    await clients[0].flushall()
    try:
        yield [SharedStore(client, patience=2.0) for client in clients]
    finally:
        for client in clients:
            await client.aclose()


def an_entry(key="key", body=b"body", tags=TAGS, **changes):
    fields = {
        "content_type": "application/json", "headers": [("etag", '"1"')], "fetched_at": time.time(), "ttl": 5.0,
        "while_revalidating": 1.0, "if_error": 2.0,
    } | changes  # fmt: skip
    return Entry(key=key, body=body, tags=tags, **fields)


async def keep(store, entry, look):
    await store.store(entry, look.generations, life=LIFE)


async def test_what_one_worker_keeps_another_finds_whole(redis_server):
    async with stores(redis_server, 2) as (one, two):
        entry = an_entry(body=bytes(range(256)))

        await keep(one, entry, await one.look("key", TAGS, life=LIFE))

        assert (await two.look("key", TAGS, life=LIFE)).entry == entry
        assert (await two.look("other", TAGS, life=LIFE)).entry is None


@pytest.mark.parametrize("tag", TAGS)
async def test_a_purge_by_any_worker_voids_it_for_all(redis_server, tag):
    async with stores(redis_server, 2) as (one, two):
        await keep(one, an_entry(), await one.look("key", TAGS, life=LIFE))

        assert await two.purge({tag})

        assert (await one.look("key", TAGS, life=LIFE)).entry is None


async def test_an_answer_that_was_asked_for_before_a_purge_counts_never(redis_server):
    async with stores(redis_server, 2) as (one, two):
        before = await one.look("key", TAGS, life=LIFE)

        await two.purge({"product:7"})
        await two.look("key", TAGS, life=LIFE)  # somebody asks anew: the tag has a generation again
        await keep(one, an_entry(body=b"old"), before)

        assert (await two.look("key", TAGS, life=LIFE)).entry is None
        assert (await one.look("key", TAGS, life=LIFE)).entry is None


async def test_what_redis_forgets_of_a_tag_voids_what_has_it(redis_server):
    async with stores(redis_server) as (store,):
        await keep(store, an_entry(), await store.look("key", TAGS, life=LIFE))

        with redis_server.client as client:
            client.delete(*client.keys("cache:tag:*"))

        assert (await store.look("key", TAGS, life=LIFE)).entry is None


@pytest.mark.parametrize("raw", [b"", b"\xff", b"\x92\x90\xc0"], ids=["nothing", "no message", "another shape"])
async def test_what_cannot_be_read_is_a_miss(redis_server, raw):
    async with stores(redis_server) as (store,):
        await keep(store, an_entry(), await store.look("key", TAGS, life=LIFE))
        with redis_server.client as client:
            client.set(client.keys("cache:entry:*")[0], raw)

        look = await store.look("key", TAGS, life=LIFE)

        assert look.entry is None
        assert look.generations is not None


async def test_nothing_stays_for_ever(redis_server):
    async with stores(redis_server) as (store,):
        await keep(store, an_entry(), await store.look("key", TAGS, life=LIFE))

        with redis_server.client as client:
            left = {name: client.pttl(name) for name in client.keys("cache:*")}

        assert len(left) == 1 + len(TAGS)
        assert all(0 < milliseconds <= (LIFE + 60) * 1000 for milliseconds in left.values())


async def test_a_dropped_entry_is_gone_for_all(redis_server):
    async with stores(redis_server, 2) as (one, two):
        await keep(one, an_entry(), await one.look("key", TAGS, life=LIFE))

        await two.drop("key")

        assert (await one.look("key", TAGS, life=LIFE)).entry is None


async def test_a_redis_that_dies_is_done_without_and_what_it_brings_back_is_not_believed(redis_server):
    """Its file may be older than the last purge, and purges that it could not hear of are still owed."""
    async with stores(redis_server, 2) as (one, two):
        for key, tags in (("key", TAGS), ("other", ("all", "path:/b", "product:8"))):
            await keep(one, an_entry(key, tags=tags), await one.look(key, tags, life=LIFE))
        redis_server.kill()

        assert not await one.purge({"product:7"})
        began = time.monotonic()
        looks = [await one.look("key", TAGS, life=LIFE) for _ in range(200)]
        spent = time.monotonic() - began
        redis_server.start()

        assert not [look for look in looks if look.entry or look.generations]
        assert spent < 0.5
        assert one.state == "away"

        async def is_back():
            return (await one.look("key", TAGS, life=LIFE)).generations is not None

        await eventually_async(is_back, within=10)
        assert one.state == "ok"
        assert (await one.look("key", TAGS, life=LIFE)).entry is None
        assert (await two.look("other", ("all", "path:/b", "product:8"), life=LIFE)).entry is None


async def test_a_redis_that_hangs_costs_the_patience_once_and_then_nothing(redis_server):
    client = make_redis(redis_server.url, patience=5.0)
    store = SharedStore(client, patience=0.05)
    await client.ping()
    redis_server.pause()
    try:
        began = time.monotonic()
        for _ in range(200):
            assert (await store.look("key", TAGS, life=LIFE)).generations is None
        spent = time.monotonic() - began
    finally:
        redis_server.resume()
        await client.aclose()

    assert spent < 0.8
    assert store.counts["failures"] == 1
