import json
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from edge.cache.answering import ResponseCache
from edge.cache.local import LocalStore
from tests.builders.gateway import a_gateway
from tests.builders.upstream import Upstream, answer
from tests.fakes.edge import a_token

pytestmark = pytest.mark.anyio

JSON = "content-type: application/json"
PROBLEM = "content-type: application/problem+json; charset=utf-8"


def a_body(things, **named):
    return {"things": things, "unavailable": [], "refused": [], "skipped": []} | named


def a_page(*, required=False, **part):
    things = {"name": "things", "required": required, "http": {"service": "things", "path": "/v1/{id}"}, **part}
    return {
        "name": "page", "method": "GET", "path": "/page/{id}", "summary": "A page", "tag": "Pages", "auth": "optional",
        "limits": None, "aggregate": {"parts": [things]},
    }  # fmt: skip


def saying(given):
    async def behave(_asked, _reader, writer):
        writer.write(given)
        await writer.drain()
        return True

    return behave


async def asked_of(tmp_path, route, given, *, path="/page/7", **options):
    async with Upstream("a", saying(given)) as one, a_gateway(tmp_path, route) as edge:
        edge.there_are(one)
        response = await edge.client.get(path, **options)
        return response, one.asked


async def test_a_part_comes_from_a_service_that_speaks_http(tmp_path):
    route = a_page(arguments={"q": "query"}, fixed={"limit": 3, "fresh": True})
    headers = {"authorization": f"Bearer {a_token()}", "cookie": "a=1", "accept": "text/html", "accept-language": "de"}
    response, (asked,) = await asked_of(
        tmp_path, route, answer(b'{"a":[1]}', JSON), path="/page/7%2F8?q=a%26b", headers=headers
    )

    assert response.json() == a_body({"a": [1]})
    assert response.headers["content-type"] == "application/json"
    assert asked.target == "/v1/7%2F8?limit=3&fresh=true&q=a%26b"
    assert asked.values("accept") == ["application/json"]
    assert asked.value("accept-language") == "de"
    assert asked.value("x-user-id") == "user-1"
    assert (asked.value("cookie"), asked.value("authorization")) == (None, None)


@pytest.mark.parametrize(
    "given",
    [
        answer(b"oops", JSON),
        answer(b"{}", JSON, status=500),
        answer(b"{}", JSON, status=503),
        answer(b"", status=301),
        answer(b"\x1f\x8b", JSON, "content-encoding: gzip"),
        b"nonsense\r\n\r\n",
        answer(b"{}", JSON, status=408),
        answer(b"{}", JSON, status=425),
        answer(b"{}", JSON, "retry-after: 1", status=429),
        answer(b'{"retryable":true}', PROBLEM, status=409),
        answer(b'{"a":' * 1000 + b"1e400" + b"}" * 1000, JSON),
        answer(b"{}", JSON, "content-encoding: identity", "content-encoding: br"),
    ],
    ids=[
        "no-json", "500", "503", "redirect", "packed", "no-http", "slow", "early", "many", "retryable", "deep",
        "packed-twice-told",
    ],
)  # fmt: skip
async def test_what_cannot_be_used_is_down(tmp_path, given):
    response, _ = await asked_of(tmp_path, a_page(), given)

    assert (response.status_code, response.json()) == (200, a_body(None, unavailable=["things"]))


@pytest.mark.parametrize("depth", [222, 223, 253, 254])
@pytest.mark.parametrize("changes", [{}, {"nest": {"a": ["things"], "b": ["a"], "c": ["b"]}}], ids=["plain", "moved"])
async def test_a_part_that_is_too_deep_is_down_wherever_it_is_put(tmp_path, depth, changes):
    route = a_page() | ({"transforms": {"response": {"json": changes}}} if changes else {})
    response, _ = await asked_of(tmp_path, route, answer(b"[" * depth + b"]" * depth, JSON))

    assert (response.status_code, response.json()["unavailable"]) == (200, [] if depth == 222 else ["things"])


async def test_numbers_of_a_part_are_as_they_are_written(tmp_path):
    response, _ = await asked_of(tmp_path, a_page(), answer(b'{"e": 1E400, "f": 1.10}', JSON))

    assert response.content.startswith(b'{"things":{"e":1E400,"f":1.10},')


async def test_a_no_is_null_where_the_part_is_not_required_and_the_answer_where_it_is(tmp_path):
    said = answer(b'{"why":"sold out"}', JSON, status=404)
    optional, _ = await asked_of(tmp_path, a_page(), said)
    required, _ = await asked_of(tmp_path, a_page(required=True), said)

    assert (optional.status_code, optional.json()) == (200, a_body(None, refused=["things"]))
    assert (required.status_code, required.json()) == (404, {"why": "sold out"})


@pytest.mark.parametrize(
    "said",
    [
        answer(b'{"retryable":false}', PROBLEM, status=409),
        answer(b'{"retryable":true}', JSON, status=409),
        answer(b"[true]", PROBLEM, status=404),
        answer(b"oops", PROBLEM, status=404),
    ],
    ids=["not", "no-problem", "list", "junk"],
)
async def test_a_no_is_one_for_now_only_where_a_problem_document_says_so(tmp_path, said):
    response, _ = await asked_of(tmp_path, a_page(), said)

    assert response.json() == a_body(None, refused=["things"])


@pytest.mark.parametrize("status", [404, 429])
async def test_an_answer_with_a_hole_is_given_to_nobody_else(tmp_path, status):
    given = [answer(b"{}", JSON, status=status), answer(b'{"a":1}', JSON)]

    async def behave(_asked, _reader, writer):
        writer.write(given.pop(0))
        await writer.drain()
        return True

    words = {"auth": "none", "answer": {"cache_control": "public, no-cache", "etag": "content"}, "cache": {"ttl": 60}}
    async with (
        Upstream("a", behave) as one,
        a_gateway(tmp_path, a_page() | words, cache=ResponseCache(local=LocalStore())) as edge,
    ):
        edge.there_are(one)
        holed, whole, kept = [await edge.client.get("/page/7") for _ in range(3)]

    assert holed.json()["things"] is None
    assert (holed.headers["cache-control"], holed.headers["cache-status"]) == ("no-store", "kirana; fwd=miss")
    assert "etag" not in holed.headers
    assert whole.json() == kept.json() == a_body({"a": 1})
    assert kept.headers["cache-status"] == "kirana; hit"


ABOUT_ITSELF = [
    "cache-control: public, max-age=60", 'etag: "a"', "last-modified: Mon, 01 Jan 2024 00:00:00 GMT", "age: 7",
    "expires: Mon, 01 Jan 2029 00:00:00 GMT", "pragma: cache", "set-cookie: a=1", "set-cookie: b=2",
    "surrogate-control: max-age=9", "cdn-cache-control: max-age=9", "shop-cdn-cache-control: max-age=9",
    "cache-status: other; hit", "accept-ranges: bytes", "content-location: /v1/7", 'clear-site-data: "*"',
]  # fmt: skip
"""What a part's service says of the part's own address and life."""


@pytest.mark.parametrize("status", [404, 429])
async def test_what_a_required_part_says_of_keeping_its_no_does_not_go_for_the_whole(tmp_path, status):
    said = answer(b'{"why":"gone"}', JSON, "retry-after: 3", "x-own: 1", *ABOUT_ITSELF, status=status)
    words = {"auth": "none", "answer": {"cache_control": "public, no-cache", "etag": "content"}, "cache": {"ttl": 60}}
    behave = saying(said)
    for route in (a_page(required=True), a_page(required=True) | words):
        cache = ResponseCache(local=LocalStore())
        async with Upstream("a", behave) as one, a_gateway(tmp_path, route, cache=cache) as edge:
            edge.there_are(one)
            answers = [await edge.client.get("/page/7", headers={"if-none-match": '"a"'}) for _ in range(2)]

        for response in answers:
            assert (response.status_code, response.json()) == (status, {"why": "gone"})
            assert response.headers.get_list("cache-control") == ["no-store"]
            assert response.headers["x-own"] == "1"
            assert response.headers["content-type"] == "application/json"
            assert response.headers["retry-after"] == "3"
            told = {line.partition(":")[0] for line in ABOUT_ITSELF} - {"cache-control", "cache-status"}
            assert told.isdisjoint(response.headers)
            assert "other" not in response.headers.get("cache-status", "")
        assert len(one.asked) == 2


async def test_a_required_part_that_says_not_now_says_so_for_the_whole(tmp_path):
    said = answer(b'{"why":"too many"}', JSON, "retry-after: 3", status=429)
    response, _ = await asked_of(tmp_path, a_page(required=True), said)

    assert (response.status_code, response.json()) == (429, {"why": "too many"})
    assert response.headers["retry-after"] == "3"


@pytest.mark.parametrize(("given", "status"), [(answer(status=500), 503), (answer(b"oops"), 502)], ids=["500", "junk"])
async def test_a_required_part_that_is_down_takes_the_whole_along(tmp_path, given, status):
    response, _ = await asked_of(tmp_path, a_page(required=True), given)

    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"


async def test_nobody_there_is_down(tmp_path):
    async with a_gateway(tmp_path, a_page()) as edge:
        response = await edge.client.get("/page/7")
        described = json.loads((await edge.client.get("/page/7")).content)

    assert response.json() == described == a_body(None, unavailable=["things"])


VERSIONS = {"split": {"stable": 1, "canary": 0}, "header": {"name": "X-Canary", "values": {"1": "canary"}}}


@pytest.mark.parametrize(("headers", "version"), [({"X-Canary": "1"}, "canary"), ({}, "stable")], ids=["named", "else"])
async def test_a_part_comes_from_the_version_that_the_header_names(tmp_path, headers, version):
    route = a_page(http={"service": "things", "path": "/v1/{id}", "versions": VERSIONS})
    async with each_version() as both, a_gateway(tmp_path, route) as edge:
        edge.there_are(*both)
        answers = [await edge.client.get("/page/7", headers=headers) for _ in range(5)]

    assert [answer.json()["things"] for answer in answers] == [{"v": version}] * 5


async def test_whoever_stays_with_a_version_gets_each_part_from_it(tmp_path):
    versions = {"split": {"stable": 1, "canary": 1}, "sticky": "caller"}
    route = a_page(http={"service": "things", "path": "/v1/{id}", "versions": versions})
    seen = {}
    async with each_version() as both, a_gateway(tmp_path, route) as edge:
        edge.there_are(*both)
        for user in (f"user-{number}" for number in range(12)):
            headers = {"authorization": f"Bearer {a_token(sub=user)}"}
            answers = [await edge.client.get("/page/7", headers=headers) for _ in range(4)]
            seen[user] = {answer.json()["things"]["v"] for answer in answers}

    assert {len(versions) for versions in seen.values()} == {1}
    assert set().union(*seen.values()) == {"stable", "canary"}


@asynccontextmanager
async def each_version():
    def told(version):
        return saying(answer(b'{"v":"%s"}' % version.encode(), JSON))

    async with AsyncExitStack() as stack:
        ups = [Upstream(name, told(name), meta={"version": name}) for name in ("stable", "canary")]
        yield [await stack.enter_async_context(one) for one in ups]
