"""Answers that say "not I, not now" (502, 503, 504): another instance is asked where that is safe, and they count."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from edge.rpc.retries import RetryBudget
from shared.resilience.breaker import BreakerState
from tests.builders.gateway import a_gateway, a_route
from tests.builders.upstream import Upstream, answer
from tests.builders.waiting import eventually_async

pytestmark = pytest.mark.anyio

IN_TURN = {"balance": "round-robin", "ejection": {"failures": 100}}
TIMES = 6


def saying(status, *fields, body=b"not I"):
    async def behave(_asked, _reader, writer):
        writer.write(answer(body, *fields, status=status))
        await writer.drain()
        return True

    return behave


@asynccontextmanager
async def a_bad_and_a_good_one(tmp_path, method="GET", behave=None, **http):
    """Two instances that are asked in turn: one that is unwell, and one that is not."""
    changes = {} if method == "GET" else {"idempotency": "accepted"}
    async with AsyncExitStack() as stack:
        bad = await stack.enter_async_context(Upstream("bad", behave or saying(503, "retry-after: 7")))
        good = await stack.enter_async_context(Upstream("good"))
        route = a_route(method=method, http=IN_TURN | http, **changes)
        edge = await stack.enter_async_context(a_gateway(tmp_path, route))
        edge.there_are(bad, good)
        yield edge, bad, good


@pytest.mark.parametrize("status", [502, 503, 504])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_what_may_happen_twice_is_asked_of_another_instance_once(tmp_path, method, status):
    async with a_bad_and_a_good_one(tmp_path, method, saying(status)) as (edge, bad, good):
        answers = [await edge.client.request(method, "/things/x") for _ in range(TIMES)]
        retries, in_flight = edge.service.retries, edge.service.figures()["in_flight"]
        outcomes = dict(edge.way().outcomes)

    assert {(each.status_code, each.json()["by"]) for each in answers} == {(200, "good")}
    assert (len(good.asked), len(bad.asked)) == (TIMES, retries)
    assert retries > 0
    assert in_flight == 0
    assert outcomes == {"answered": TIMES}


@pytest.mark.parametrize(
    ("method", "sent"),
    [("POST", {}), ("POST", {"content": b"abc"}), ("PATCH", {}), ("PUT", {"content": b"abc"})],
    ids=["post", "post with a body", "patch", "a body that was touched"],
)
async def test_what_may_not_happen_twice_or_cannot_be_sent_again_is_never_repeated(tmp_path, method, sent):
    async with a_bad_and_a_good_one(tmp_path, method) as (edge, bad, good):
        answers = [await edge.client.request(method, "/things/x", **sent) for _ in range(TIMES)]
        retries = edge.service.retries

    refused = [each for each in answers if each.status_code == 503]
    assert len(bad.asked) + len(good.asked) == TIMES
    assert len(refused) == len(bad.asked) > 0
    assert {(each.text, each.headers["retry-after"]) for each in refused} == {("not I", "7")}
    assert retries == 0


@pytest.mark.parametrize("why", ["nobody else", "the route says no", "no budget"])
async def test_where_nobody_else_may_be_asked_the_answer_passes_as_it_is(tmp_path, why):
    http = {"retries": 0} if why == "the route says no" else {}
    async with a_bad_and_a_good_one(tmp_path, **http) as (edge, bad, _):
        if why == "nobody else":
            edge.there_are(bad)
        if why == "no budget":
            edge.service.budget = RetryBudget(cap=0.0)
        answers = [await edge.client.get("/things/x") for _ in range(TIMES)]
        in_flight = edge.service.figures()["in_flight"]

    refused = [each for each in answers if each.status_code != 200]
    assert {(each.status_code, each.text, each.headers["retry-after"]) for each in refused} == {(503, "not I", "7")}
    assert len(refused) == len(bad.asked) > 0
    assert in_flight == 0


async def test_of_two_that_are_unwell_the_second_has_the_last_word(tmp_path):
    async with a_bad_and_a_good_one(tmp_path) as (edge, bad, good):
        bad.behave, good.behave = saying(503, body=b"first"), saying(504, body=b"second")
        response = await edge.client.get("/things/x")
        asked = len(bad.asked), len(good.asked)

    assert (response.status_code, response.text) in {(503, "first"), (504, "second")}
    assert asked == (1, 1)


async def test_what_is_not_wanted_any_more_leaves_its_connection_in_order(tmp_path):
    async def endless(_asked, reader, writer):
        writer.write(b"HTTP/1.1 503 No\r\ncontent-length: 1000\r\n\r\nhalf")
        await writer.drain()
        await reader.read()

    async with a_bad_and_a_good_one(tmp_path) as (edge, bad, _):
        for _ in range(TIMES):
            await edge.client.get("/things/x")
        of_whole_ones = bad.made
        bad.behave = endless
        for _ in range(TIMES):
            await edge.client.get("/things/x")
        await eventually_async(lambda: not bad.connections, what="the edge to hang up")

    assert of_whole_ones == 1


async def test_while_another_instance_is_asked_no_place_is_taken_at_the_first(tmp_path):
    gate = asyncio.Event()

    async def waiting(_asked, _reader, writer):
        await gate.wait()
        writer.write(answer(b"late"))
        return True

    async with a_bad_and_a_good_one(tmp_path) as (edge, bad, good):
        good.behave = waiting
        asking = [asyncio.ensure_future(edge.client.get("/things/x")) for _ in range(2)]
        await eventually_async(lambda: len(good.asked) == 2, what="the good one to be asked")
        in_flight = edge.service.figures()["in_flight"]
        gate.set()
        statuses = [(await each).status_code for each in asking]

    assert len(bad.asked) == 1
    assert (in_flight, statuses) == (2, [200, 200])


async def test_one_that_passes_on_its_faults_is_left_out_all_the_same(tmp_path):
    async with a_bad_and_a_good_one(tmp_path, "POST", ejection={"failures": 2}) as (edge, bad, good):
        for _ in range(TIMES):
            await edge.client.post("/things/x")
        ejected = edge.service.figures()["ejected"]

    assert ejected == 1
    assert (len(bad.asked), len(good.asked)) == (2, TIMES - 2)


async def test_a_handshake_is_asked_of_another_instance_too(tmp_path):
    async with a_bad_and_a_good_one(tmp_path, websocket=True) as (edge, bad, _):
        shaking = {
            "connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13",
            "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
        }  # fmt: skip
        statuses = {(await edge.client.get("/things/x", headers=shaking)).status_code for _ in range(TIMES)}
        in_flight = edge.service.figures()["in_flight"]

    assert statuses == {200}
    assert bad.asked
    assert in_flight == 0


@pytest.mark.parametrize(("status", "state"), [(503, BreakerState.OPEN), (500, BreakerState.CLOSED)])
async def test_they_count_for_the_routes_breaker_and_a_fault_of_the_code_does_not(tmp_path, status, state):
    now = [0.0]
    async with Upstream("a", saying(status)) as one, a_gateway(tmp_path, a_route(), clock=lambda: now[0]) as edge:
        edge.there_are(one)
        for _ in range(20):
            await edge.client.get("/things/x")
        found, outcomes = edge.way().breaker_state, dict(edge.way().outcomes)
        retry_after = edge.way().told()["retry_after"]

    assert found is state
    assert outcomes == {"failed" if state is BreakerState.OPEN else "answered": 20}
    assert retry_after <= 2.0  # somebody is there to say so
