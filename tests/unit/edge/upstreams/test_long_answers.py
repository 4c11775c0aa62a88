"""Answers that are too long to be kept pass on routes whose answers are kept, as they do on any other."""

import asyncio

import pytest

from edge.cache.answering import ResponseCache
from edge.cache.local import LocalStore
from edge.targets.http import MOST_KEPT_BYTES
from tests.builders.gateway import a_gateway, a_route
from tests.builders.upstream import Upstream, answer
from tests.builders.waiting import eventually_async

pytestmark = pytest.mark.anyio

KEPT = a_route(cache={"ttl": 60}, answer={"cache_control": "public, max-age=5"})
LENGTHS = [3 * MOST_KEPT_BYTES, MOST_KEPT_BYTES + 1]


def body_of(length):
    return (b"0123456789" * (length // 10 + 1))[:length]


def known(length):
    return answer(body_of(length))


def chunked(length):
    body = body_of(length)
    return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def saying(said, gate=None):
    async def behave(_asked, _reader, writer):
        if gate is not None:
            await gate.wait()
        writer.write(said)
        await writer.drain()
        return True

    return behave


def a_cache():
    return ResponseCache(local=LocalStore(50_000_000))


async def nothing_is_under_way(edge):
    await eventually_async(lambda: edge.service.figures()["in_flight"] == 0, what="the place to be free")


@pytest.mark.parametrize("length", LENGTHS, ids=["far too long", "a byte too long"])
@pytest.mark.parametrize("told", [known, chunked])
async def test_it_comes_whole_each_time_and_is_not_kept(tmp_path, told, length):
    async with Upstream("a", saying(told(length))) as one, a_gateway(tmp_path, KEPT, cache=a_cache()) as edge:
        edge.there_are(one)
        answers = [await edge.client.get("/things/x") for _ in range(3)]
        kept = len(edge.parts.cache.local)
        await nothing_is_under_way(edge)

    assert all(each.content == body_of(length) for each in answers)
    assert {(each.status_code, each.headers["cache-status"]) for each in answers} == {(200, "kirana; fwd=miss")}
    assert {each.headers["cache-control"] for each in answers} == {"public, max-age=5"}
    assert (len(one.asked), kept) == (3, 0)


@pytest.mark.parametrize("told", [known, chunked])
async def test_what_just_fits_is_kept(tmp_path, told):
    async with Upstream("a", saying(told(MOST_KEPT_BYTES))) as one, a_gateway(tmp_path, KEPT, cache=a_cache()) as edge:
        edge.there_are(one)
        answers = [await edge.client.get("/things/x") for _ in range(3)]

    assert all(each.content == body_of(MOST_KEPT_BYTES) for each in answers)
    assert len(one.asked) == 1


@pytest.mark.parametrize("told", [known, chunked])
async def test_who_waits_for_the_same_answer_gets_one_of_their_own(tmp_path, told):
    gate, length = asyncio.Event(), LENGTHS[0]
    async with Upstream("a", saying(told(length), gate)) as one, a_gateway(tmp_path, KEPT, cache=a_cache()) as edge:
        edge.there_are(one)
        asking = [asyncio.ensure_future(edge.client.get("/things/x")) for _ in range(4)]
        flights = edge.parts.cache.fetching.flights
        await eventually_async(lambda: flights and next(iter(flights.values())).waiting == 4, what="all to wait")
        gate.set()
        answers = [await each for each in asking]
        await nothing_is_under_way(edge)

    assert all(each.content == body_of(length) for each in answers)
    assert len(one.asked) == 4


async def test_its_head_alone_may_be_asked_for(tmp_path):
    async with Upstream("a", saying(known(LENGTHS[0]))) as one, a_gateway(tmp_path, KEPT, cache=a_cache()) as edge:
        edge.there_are(one)
        response = await edge.client.head("/things/x")
        await nothing_is_under_way(edge)

    assert (response.status_code, response.headers["content-length"]) == (200, str(LENGTHS[0]))


async def test_who_goes_away_before_it_comes_leaves_no_place_taken(tmp_path):
    gate = asyncio.Event()
    said = saying(known(LENGTHS[0]), gate)
    async with Upstream("a", said) as one, a_gateway(tmp_path, KEPT, cache=a_cache()) as edge:
        edge.there_are(one)
        _, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        writer.write(b"GET /things/x HTTP/1.1\r\nHost: a\r\n\r\n")
        await eventually_async(lambda: one.asked, what="the request to come")
        writer.transport.abort()
        gate.set()
        await nothing_is_under_way(edge)


async def test_one_that_takes_the_place_of_a_kept_one_leaves_no_place_taken(tmp_path):
    cache = {"ttl": 0.1, "stale_while_revalidate": 600}
    route = KEPT | {"cache": cache}
    async with Upstream("a", saying(answer(b"short"))) as one, a_gateway(tmp_path, route, cache=a_cache()) as edge:
        edge.there_are(one)
        await edge.client.get("/things/x")
        await asyncio.sleep(0.1)
        one.behave = saying(known(LENGTHS[0]))
        stale = await edge.client.get("/things/x")
        await eventually_async(lambda: len(one.asked) == 2, what="a new one to be fetched")
        await nothing_is_under_way(edge)
        await eventually_async(lambda: not one.connections, what="the edge to hang up")

    assert stale.text == "short"
