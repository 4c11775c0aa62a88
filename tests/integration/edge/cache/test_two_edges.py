"""Two edges before one shop, with a real broker and a real Redis between them."""

import asyncio
import time
from contextlib import asynccontextmanager
from types import SimpleNamespace

import aiormq
import pytest

from edge.cache import feed
from edge.cache.assembly import make_cache
from edge.cache.feed import HEARD
from edge.redis_client import make_redis
from edge.rpc.calls import RpcReply
from edge.rpc.connection import Broker
from edge.rpc.failures import NotExecuted
from edge.rpc.pending import Pending
from shared.contracts.events import ORDER_PLACED, PRODUCT_CHANGED
from shared.contracts.exchanges import events_of
from tests.builders.answers import a_product_answer
from tests.builders.events import an_event_of
from tests.builders.waiting import eventually_async
from tests.fakes.edge import ROUTES, FakeRpc, a_token, collaborators, serving

pytestmark = pytest.mark.anyio

HIT, MISS = "kirana; hit", "kirana; fwd=miss; stored"
ADMIN = {"Authorization": f"Bearer {a_token(scope='edge:admin')}"}
A_LINE = {"product_id": 7, "name": "", "quantity": 1, "unit_price": "", "line_total": ""}
AN_ORDER = {
    "order_id": "o", "number": "n", "user_id": "u", "lines": [A_LINE], "total": "", "currency": "EUR",
    "from_cart": False,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    """A busy machine is no silent broker."""
    monkeypatch.setattr(feed, "TELLING_SECONDS", 20)


class Catalog:
    """One database; ``gate`` holds answers back that were read already."""

    def __init__(self):
        self.stock = 3
        self.gate = asyncio.Event()
        self.gate.set()
        self.reading = asyncio.Event()
        self.fault = None

    async def __call__(self, arguments, _context):
        answer = a_product_answer(id=arguments["product_id"], stock=self.stock)
        self.reading.set()
        await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return RpcReply(answer)


class AnEdge:
    """What a worker has of the cache, behind a port of its own."""

    def __init__(self, client, rpc, link_keeper, cache):
        self.client, self.rpc, self.broker, self.cache = client, rpc, link_keeper, cache

    async def get(self, product=7):
        return await self.client.get(f"/api/products/{product}")

    async def stock(self):
        return (await self.get()).json()["stock"]


@asynccontextmanager
async def an_edge(broker, redis_server, catalog, routes):
    rpc = FakeRpc(get_product=catalog)
    link_keeper = Broker(broker.url, name="edge-test", pending=Pending(limit=10))
    redis = make_redis(redis_server.url, patience=5.0)
    cache = make_cache(SimpleNamespace(cache_bytes=1_000_000, instance="edge-test"), redis=redis, broker=link_keeper)
    cache.shared._patience = 2.0  # a busy machine must not look like an absent Redis
    heard = asyncio.Event()
    distrust = cache.distrust
    cache.distrust = lambda: (distrust(), heard.set())
    await link_keeper.open()
    async with asyncio.timeout(20):
        await heard.wait()
    async with serving(collaborators(rpc, cache=cache), routes) as client:
        yield AnEdge(client, rpc, link_keeper, cache)
    await cache.close()
    await link_keeper.close()
    await redis.aclose()


def patient_routes(folder):
    """The shop's own table, but nothing expires or runs out of time while a busy machine is at it."""
    text = ROUTES.read_text().replace("cache: {ttl: 5,", "cache: {ttl: 600,")
    path = folder / "routes.yaml"
    path.write_text(
        text.replace("    call: catalog.get_product\n", "    call: catalog.get_product\n    deadline: 30\n")
    )
    return path


@asynccontextmanager
async def two_edges(broker, redis_server):
    catalog = Catalog()
    async with aiormq.connect(broker.url) as connection:
        channel = await connection.channel()
        for each in HEARD:
            await channel.exchange_declare(events_of(each.service), exchange_type="topic", durable=True)

        async def publish(kind, **data):
            await channel.basic_publish(
                an_event_of(kind, "a", **data), exchange=events_of(kind.service), routing_key=kind.name
            )

        with redis_server.client as client:
            client.flushall()
        parts = (broker, redis_server, catalog, patient_routes(redis_server.home))
        async with an_edge(*parts) as one, an_edge(*parts) as two:
            yield SimpleNamespace(one=one, two=two, catalog=catalog, publish=publish)


async def changed(shop, **changes):
    await shop.publish(PRODUCT_CHANGED, **({"product_id": 7, "category_id": 1, "version": 2} | changes))


def statuses(answers):
    return [answer.headers["cache-status"] for answer in answers]


async def test_five_hundred_on_a_cold_key_ask_the_catalog_once_per_worker(broker, redis_server):
    async with two_edges(broker, redis_server) as shop:
        shop.catalog.gate.clear()
        ports = [edge.client.base_url.port for edge in (shop.one, shop.two)]
        tasks = [asyncio.create_task(_plain_get(ports[turn % 2], "/api/products/7")) for turn in range(500)]
        await eventually_async(lambda: _waiting(shop) >= 100, what="many to wait for each other")
        await eventually_async(lambda: shop.one.rpc.calls and shop.two.rpc.calls, what="both to ask the catalog")
        shop.catalog.gate.set()
        answers = await asyncio.gather(*tasks)

    assert {answer.partition(b"\r\n")[0] for answer in answers} == {b"HTTP/1.1 200 OK"}
    assert len({answer.partition(b"\r\n\r\n")[2] for answer in answers}) == 1
    assert [len(edge.rpc.calls) for edge in (shop.one, shop.two)] == [1, 1]


async def _plain_get(port, path):
    """Many at once cost little this way, so that they are."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return answer


def _waiting(shop):
    return sum(flight.waiting for edge in (shop.one, shop.two) for flight in edge.cache.fetching.flights.values())


async def test_what_one_edge_has_fetched_the_other_need_not(broker, redis_server):
    async with two_edges(broker, redis_server) as shop:
        first = await shop.one.get()
        await eventually_async(lambda: not shop.one.cache.fetching.tasks)
        second = await shop.two.get()

    assert statuses([first, second]) == [MISS, HIT]
    assert first.content == second.content
    assert len(shop.two.rpc.calls) == 0


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (PRODUCT_CHANGED, {"product_id": 7, "category_id": 1, "version": 2}),
        (ORDER_PLACED, AN_ORDER),
    ],
    ids=["a product changed", "an order took of it"],
)
async def test_every_edge_shows_what_changed_within_a_second(broker, redis_server, kind, data):
    async with two_edges(broker, redis_server) as shop:
        assert [await edge.stock() for edge in (shop.one, shop.two)] == [3, 3]

        spent = []
        while shop.catalog.stock and min(spent, default=1.0) >= 1.0:  # the best of three: the machine may be busy
            shop.catalog.stock -= 1
            stock, began = shop.catalog.stock, time.monotonic()
            await shop.publish(kind, **data)
            for edge in (shop.one, shop.two):
                await eventually_async(lambda edge=edge, stock=stock: _shows(edge, stock))
            spent.append(time.monotonic() - began)

            assert [await edge.stock() for edge in (shop.one, shop.two)] == [stock, stock]
    assert min(spent) < 1.0


async def _shows(edge, stock):
    return await edge.stock() == stock


async def test_an_event_of_another_product_leaves_this_one_alone(broker, redis_server):
    async with two_edges(broker, redis_server) as shop:
        await shop.one.get()
        await shop.one.get(8)

        await changed(shop, product_id=8)
        await eventually_async(lambda: shop.one.cache.purges["product.changed"] == 1)

        assert statuses([await shop.one.get(), await shop.one.get(8)])[0] == HIT
        assert len(shop.one.rpc.calls) == 3


async def test_an_administrators_purge_at_one_edge_reaches_the_other(broker, redis_server):
    async with two_edges(broker, redis_server) as shop:
        for edge in (shop.one, shop.two):
            await edge.get()

        answer = await shop.one.client.post("/admin/cache/purge", json={"path": "/api/products/7"}, headers=ADMIN)
        await eventually_async(lambda: shop.two.cache.purges["cache.purged"] == 1)

        assert answer.status_code == 200
        assert len(shop.two.cache.local) == 0


async def test_an_answer_read_before_a_change_never_comes_back_after_it(broker, redis_server):
    """Neither from the worker that fetched it nor, through Redis, from another."""
    async with two_edges(broker, redis_server) as shop:
        shop.catalog.gate.clear()
        early = asyncio.create_task(shop.one.get())
        await asyncio.wait_for(shop.catalog.reading.wait(), 10)

        shop.catalog.stock = 2
        await changed(shop)
        await eventually_async(
            lambda: shop.one.cache.purges["product.changed"] and shop.two.cache.purges["product.changed"]
        )
        shop.catalog.gate.set()

        assert (await early).json()["stock"] == 3
        await eventually_async(lambda: not shop.one.cache.fetching.tasks)
        for edge in (shop.two, shop.one, shop.two):
            assert await edge.stock() == 2


async def test_what_changed_while_nothing_was_heard_is_not_taken_for_fresh(broker, redis_server):
    async with two_edges(broker, redis_server) as shop:
        await shop.one.get()
        since = shop.one.cache.fetching.trusted_since

        shop.catalog.stock = 2
        shop.one.broker.link().lose("as if the connection broke")  # and the event is never heard here
        await eventually_async(lambda: shop.one.cache.fetching.trusted_since > since, what="a new link")

        assert await shop.one.stock() == 2


async def test_with_the_catalog_dead_kept_pages_come_stale_and_others_a_friendly_503(broker, redis_server):
    async with two_edges(broker, redis_server) as shop:
        full = await shop.one.get()
        await eventually_async(lambda: not shop.one.cache.fetching.tasks)
        shop.catalog.fault = NotExecuted("no instance of the service is listening", 5)
        for edge in (shop.one, shop.two):
            edge.cache.distrust()  # as time would

        kept = [await edge.get() for edge in (shop.one, shop.two)]
        absent = await shop.one.get(8)

    assert [answer.content for answer in kept] == [full.content, full.content]
    assert all(status.startswith("kirana; hit; ttl=-") for status in statuses(kept))
    assert (absent.status_code, absent.headers["retry-after"]) == (503, "5")


async def test_with_redis_dead_each_edge_keeps_for_itself_and_purges_still_reach_it(broker, redis_server):
    async with two_edges(broker, redis_server) as shop:
        await shop.one.get()
        redis_server.kill()
        try:
            answers = [await edge.get() for edge in (shop.one, shop.two, shop.one, shop.two)]
            shop.catalog.stock = 2
            await changed(shop)
            for edge in (shop.one, shop.two):
                await eventually_async(lambda edge=edge: _shows(edge, 2))
        finally:
            redis_server.start()

        assert statuses(answers) == [HIT, MISS, HIT, HIT]
        await eventually_async(lambda: _is_shared_again(shop), what="a shared cache")


async def _is_shared_again(shop):
    product = time.monotonic_ns() % 1_000_000 + 10
    await shop.one.get(product)
    await eventually_async(lambda: not shop.one.cache.fetching.tasks)
    return statuses([await shop.two.get(product)]) == [HIT]
