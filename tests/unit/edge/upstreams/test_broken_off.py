"""An instance answers for what it has begun to say, to the last byte; for what its client does it does not."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest
from aiohttp import ClientPayloadError

from edge.cache.answering import ResponseCache
from edge.cache.local import LocalStore
from edge.upstreams.failures import Unusable
from edge.upstreams.policy import HttpPolicy
from edge.upstreams.streaming import Streamed
from edge.upstreams.upload import Upload
from tests.builders.gateway import a_gateway, a_route
from tests.builders.upstream import Upstream
from tests.builders.waiting import eventually_async

pytestmark = pytest.mark.anyio

FAILURES = 3
TIMES = 12
IN_TURN = {"balance": "round-robin", "ejection": {"failures": FAILURES, "slow_start": 0}}
KNOWN = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"


def saying(head):
    """Says that much, and hangs up."""

    async def behave(_asked, _reader, writer):
        writer.write(head)
        await writer.drain()
        return False

    return behave


def stopping(head):
    """Says that much, and then nothing more."""

    async def behave(_asked, reader, writer):
        writer.write(head)
        await writer.drain()
        await reader.read()

    return behave


async def dripping(_asked, _reader, writer):
    """Always has something to say."""
    writer.write(CHUNKED)
    while not writer.transport.is_closing():
        writer.write(b"1\r\nx\r\n")
        await asyncio.sleep(0.05)


async def taking_long(_asked, _reader, writer):
    """Says much, and all of it slowly."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
    while not writer.transport.is_closing():
        writer.write(b"x")
        await asyncio.sleep(0.05)


@asynccontextmanager
async def one_of_two(tmp_path, behave, *, http=None, reads_bodies=True, **changes):
    cache = ResponseCache(local=LocalStore(1_000_000))
    async with AsyncExitStack() as stack:
        bad = await stack.enter_async_context(Upstream("bad", behave, reads_bodies=reads_bodies))
        good = await stack.enter_async_context(Upstream("good"))
        route = a_route(http=IN_TURN | (http or {}), **changes)
        edge = await stack.enter_async_context(a_gateway(tmp_path, route, cache=cache, clock=lambda: 0.0))
        edge.there_are(bad, good)
        yield edge, bad, good


async def asked(edge, number):
    try:
        return (await edge.client.get(f"/things/{number}")).status_code
    except httpx.HTTPError:
        return None


@pytest.mark.parametrize("head", [KNOWN, CHUNKED], ids=["known length", "chunked"])
@pytest.mark.parametrize(
    ("changes", "broken"),
    [({}, None), ({"cache": {"ttl": 60}, "answer": {"cache_control": "public, max-age=5"}}, 502)],
    ids=["passed on", "kept"],
)
async def test_who_always_breaks_off_is_left_out(tmp_path, head, changes, broken):
    async with one_of_two(tmp_path, saying(head), **changes) as (edge, bad, good):
        statuses = [await asked(edge, number) for number in range(TIMES)]
        figures = edge.service.figures()

    assert figures == {"passing": 2, "ejected": 1, "in_flight": 0}
    assert (len(bad.asked), len(good.asked)) == (FAILURES, TIMES - FAILURES)
    assert statuses.count(broken) == FAILURES
    assert statuses.count(200) == TIMES - FAILURES


async def test_who_stops_in_the_middle_of_what_has_an_end_is_left_out(tmp_path):
    async with one_of_two(tmp_path, stopping(KNOWN), http={"silence": 0.5}) as (edge, bad, _):
        for number in range(TIMES):
            await asked(edge, number)
        ejected = edge.service.figures()["ejected"]

    assert ejected == 1
    assert len(bad.asked) == FAILURES


async def test_whole_answers_between_those_that_break_off_clear_an_instance(tmp_path):
    async with one_of_two(tmp_path, None) as (edge, bad, _):
        for _ in range(3):
            bad.behave = saying(KNOWN)
            for number in range(2 * (FAILURES - 1)):
                await asked(edge, number)
            bad.behave = None
            for number in range(2):
                await asked(edge, number)
        ejected = edge.service.figures()["ejected"]

    assert ejected == 0
    assert len(bad.asked) == 3 * FAILURES


@pytest.mark.parametrize(
    ("behave", "http"),
    [(dripping, {"longest": 0.2}), (taking_long, {"longest": 0.2}), (stopping(CHUNKED), {"silence": 0.2})],
    ids=["longer than the route allows", "of known length", "nothing to say for now"],
)
async def test_a_stream_that_the_edge_ends_is_no_failure(tmp_path, behave, http):
    async with one_of_two(tmp_path, behave, http=http) as (edge, bad, _):
        for number in range(TIMES):
            await asked(edge, number)
        ejected = edge.service.figures()["ejected"]

    assert ejected == 0
    assert len(bad.asked) == TIMES // 2


@pytest.mark.parametrize("behave", [dripping, stopping(KNOWN)], ids=["dripping", "stopping"])
async def test_clients_that_go_away_in_the_middle_eject_nobody(tmp_path, behave):
    async with one_of_two(tmp_path, behave) as (edge, bad, _):
        for _ in range(TIMES):
            reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
            writer.write(b"GET /things/x HTTP/1.1\r\nHost: a\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            writer.transport.abort()
            await eventually_async(lambda: edge.service.figures()["in_flight"] == 0, what="the place to be free")
        ejected = edge.service.figures()["ejected"]

    assert ejected == 0
    assert len(bad.asked) == TIMES // 2


class Breaking:
    """An answer of which nothing comes but a fault; and what becomes of it."""

    def __init__(self, fault):
        self.status, self.headers, self.content, self.fault = 200, {"content-length": "100"}, self, fault
        self.total_bytes, self.verdicts = 0, []
        self.at_eof, self.close, self.release = (lambda: False), (lambda: None), (lambda: None)

    async def readany(self):
        raise self.fault

    def judge(self, *, is_well):
        self.verdicts.append(is_well)


@pytest.mark.parametrize(
    ("fault", "left", "is_well"),
    [(ClientPayloadError(), None, False), (ClientPayloadError(), 0, False), (ClientPayloadError(), 5, True),
     (TimeoutError(), None, False), (ConnectionResetError(), None, True)],
    ids=["it broke off", "its question was over", "so did the client", "it is silent", "not its connection"],
)  # fmt: skip
async def test_whose_fault_it_was_is_the_instances_only_if_it_can_be_nobody_elses(fault, left, is_well):
    both = Breaking(fault)
    upload = None if left is None else Upload(None, left)

    with pytest.raises(Unusable):
        await Streamed(both, both, HttpPolicy(service="things"), upload).gathered(1000)

    assert both.verdicts == [is_well]


async def test_clients_that_break_off_their_own_bodies_eject_nobody(tmp_path):
    async def at_once(_asked, reader, writer):
        writer.write(CHUNKED)
        await writer.drain()
        await reader.read()

    changes = {"method": "POST", "idempotency": "accepted"}
    async with one_of_two(tmp_path, at_once, reads_bodies=False, **changes) as (edge, bad, good):
        good.behave = at_once
        good.reads_bodies = False
        for _ in range(TIMES):
            reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
            writer.write(b"POST /things/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc")
            await reader.readuntil(b"\r\n\r\n")
            writer.transport.abort()
            await eventually_async(lambda: edge.service.figures()["in_flight"] == 0, what="the place to be free")
        ejected = edge.service.figures()["ejected"]

    assert ejected == 0
    assert len(bad.asked) == TIMES // 2
