"""Every answer says when it was made (RFC 9110 §6.6.1), whichever way it takes; what is kept, when that was fetched."""

import asyncio
import time
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime

import pytest

from edge.admission.door import Admission
from edge.brief import brief
from edge.cache.answering import ResponseCache
from edge.heads import date_of
from shared.resilience.adaptive import LimitPolicy
from tests.builders.answers import a_product_answer
from tests.builders.gateway import a_gateway, a_route
from tests.builders.upstream import Upstream, answer
from tests.fakes.edge import FakeRpc, collaborators, serving
from tests.unit.edge.cache.asking import Clock

pytestmark = pytest.mark.anyio

PRODUCT = "/api/products/7"
LONG_AGO = "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.fixture
def anyio_backend():
    return "asyncio"


@asynccontextmanager
async def an_edge(**settings):
    rpc = FakeRpc(get_product=a_product_answer(), list_categories=[], add_item={})
    async with serving(collaborators(rpc, **settings)) as client:
        yield client


def moment(value):
    return parsedate_to_datetime(value).timestamp()


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/health/live", {}, 200),
        ("HEAD", "/health/live", {}, 200),
        ("GET", PRODUCT, {}, 200),
        ("GET", PRODUCT, {"If-None-Match": "*"}, 304),
        ("GET", "/nowhere", {}, 404),
        ("DELETE", PRODUCT[:-2], {}, 405),
        ("GET", "/api/orders", {}, 401),
        ("GET", PRODUCT, {"Expect": "wonders"}, 417),
        ("GET", PRODUCT, {"X-Long": "x" * 9000}, 431),
    ],
)
async def test_every_answer_has_one_date_and_it_is_now(method, path, headers, status):
    began = int(time.time())
    async with an_edge() as client:
        got = await client.request(method, path, headers=headers)
    ended = time.time()

    (date,) = got.headers.get_list("date")
    assert got.status_code == status
    assert began <= moment(date) <= ended


async def test_who_is_turned_away_at_the_door_is_told_the_time_too():
    parts = collaborators(FakeRpc(list_categories=[]))
    object.__setattr__(parts, "admission", Admission(LimitPolicy(first=4, least=4)))
    for _ in range(3):
        parts.admission.limit_of("catalog").enter()
    began = int(time.time())
    async with serving(parts) as client:
        refused = [await client.get("/api/categories") for _ in range(2)]

    assert [each.status_code for each in refused] == [503, 503]
    assert all(began <= moment(each.headers["date"]) <= time.time() for each in refused)


async def test_so_is_who_has_no_request_yet():
    began = int(time.time())

    head = brief("request.timeout", "The request did not arrive in time.").partition(b"\r\n\r\n")[0].decode()

    (date,) = [line.partition(": ")[2] for line in head.split("\r\n") if line.startswith("date: ")]
    assert began <= moment(date) <= time.time()


async def test_a_kept_answer_has_the_date_of_its_origin_from_which_its_age_counts():
    clock = Clock(at=float(int(time.time()) - 1000))
    async with an_edge(cache=ResponseCache(monotonic=clock, wall=clock)) as client:
        fetched = clock.at
        first = await client.get(PRODUCT)
        clock.at += 3
        fresh = await client.get(PRODUCT)
        unchanged = await client.get(PRODUCT, headers={"If-None-Match": first.headers["etag"]})

    assert [each.status_code for each in (first, fresh, unchanged)] == [200, 200, 304]
    assert {each.headers["date"] for each in (first, fresh, unchanged)} == {date_of(fetched)}
    assert [each.headers.get("age") for each in (first, fresh, unchanged)] == [None, "3", "3"]


@pytest.mark.parametrize("cache", [None, {"ttl": 60}], ids=["passed on", "kept"])
async def test_what_a_service_answers_keeps_the_services_date_and_gets_one_where_it_has_none(tmp_path, cache):
    async def behave(asked, _reader, writer):
        dated = ["date: " + LONG_AGO] if asked.target.endswith("dated") else []
        writer.write(answer(b"{}", "content-type: application/json", *dated))
        await writer.drain()
        return True

    route = a_route(cache=cache, answer={"cache_control": "public, max-age=60"}) if cache else a_route()
    began = int(time.time())
    async with (
        Upstream("a", behave) as one,
        a_gateway(tmp_path, route, cache=ResponseCache() if cache else None) as edge,
    ):
        edge.there_are(one)
        dated = [await edge.client.get("/things/dated") for _ in range(2)]
        without = await edge.client.get("/things/other")

    assert [each.headers.get_list("date") for each in dated] == [[LONG_AGO]] * 2
    assert len(without.headers.get_list("date")) == 1
    assert began <= moment(without.headers["date"]) <= time.time()
    assert len(one.asked) == (2 if cache else 3)


async def test_a_body_that_comes_in_parts_has_a_date_in_its_head(tmp_path):
    async def behave(_asked, _reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)
        writer.write(b"3\r\ndef\r\n0\r\n\r\n")
        return True

    began = int(time.time())
    async with Upstream("a", behave) as one, a_gateway(tmp_path, a_route()) as edge:
        edge.there_are(one)
        got = await edge.client.get("/things/x")

    assert (got.text, got.headers["transfer-encoding"]) == ("abcdef", "chunked")
    assert began <= moment(got.headers["date"]) <= time.time()
