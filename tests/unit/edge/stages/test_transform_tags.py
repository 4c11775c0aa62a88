"""Entity tags where JSON is changed: a client never takes what a table showed before for what it shows now."""

import pytest

from edge.cache.answering import ResponseCache
from tests.builders.answers import a_product_answer
from tests.builders.gateway import a_gateway, a_route
from tests.builders.tables import a_route as a_called_route
from tests.builders.tables import table_text
from tests.builders.upstream import Upstream, answer
from tests.fakes.edge import FakeRpc, collaborators, serving

pytestmark = pytest.mark.anyio

HIDING = {"response": {"json": {"drop": ["sku"]}}}
HIDING_MORE = {"response": {"json": {"drop": ["sku", "name"]}}}
JSON = "content-type: application/json"
CACHE = {"ttl": 60}


def tagged(tag, *fields):
    """A service that has one thing, under this tag."""

    async def behave(asked, _reader, writer):
        has_it = asked.value("if-none-match") in {tag, "*"}
        writer.write(
            b"HTTP/1.1 304 Not Modified\r\netag: " + tag.encode() + b"\r\n\r\n"
            if has_it
            else answer(b'{"sku":"s","name":"n"}', JSON, f"etag: {tag}", *fields)
        )
        await writer.drain()
        return True

    return behave


def transformed(transforms, **changes):
    return a_route(**({} if transforms is None else {"transforms": transforms}), **changes)


async def tag_of(tmp_path, transforms, tag='"abc"'):
    async with Upstream("a", tagged(tag)) as one, a_gateway(tmp_path, transformed(transforms)) as edge:
        edge.there_are(one)
        return (await edge.client.get("/things/x")).headers["etag"]


async def tag_of_call(tmp_path, transforms, etag):
    route = a_called_route(answer={"etag": etag, "cache_control": "no-cache"}, transforms=transforms)
    file = tmp_path / "routes.yaml"
    file.write_text(table_text(route))
    async with serving(collaborators(FakeRpc(get_product=a_product_answer())), file) as client:
        response = await client.get("/api/products/7")
        again = await client.get("/api/products/7", headers={"if-none-match": response.headers["etag"]})
        assert again.status_code == 304
        return response.headers["etag"]


@pytest.mark.parametrize("etag", ["version", "content"])
async def test_what_a_table_changes_of_a_call_is_told_by_the_tag(tmp_path, etag):
    tags = [await tag_of_call(tmp_path, transforms, etag) for transforms in (None, HIDING, HIDING_MORE, HIDING)]

    assert len(set(tags)) == 3
    assert tags[1] == tags[3]
    assert len({tag.partition("-")[0] for tag in tags}) == (1 if etag == "version" else 3)


@pytest.mark.parametrize("tag", ['"abc"', 'W/"abc"'])
async def test_what_a_table_changes_of_a_service_is_told_by_the_tag(tmp_path, tag):
    tags = [await tag_of(tmp_path, transforms, tag) for transforms in (None, HIDING, HIDING_MORE, HIDING)]

    assert tags[0] == tag
    assert len(set(tags)) == 3
    assert tags[1] == tags[3]
    assert {one.startswith("W/") for one in tags} == {tag.startswith("W/")}


async def test_a_tag_that_is_none_is_not_passed_on(tmp_path):
    async with Upstream("a", tagged("abc")) as one, a_gateway(tmp_path, transformed(HIDING)) as edge:
        edge.there_are(one)
        response = await edge.client.get("/things/x")

    assert "etag" not in response.headers


@pytest.mark.parametrize("options", [{}, {"cache": CACHE}], ids=["asked", "kept"])
@pytest.mark.parametrize("tag", ['"abc"', 'W/"abc"'])
async def test_only_who_has_what_is_shown_now_is_told_that_it_is_the_same(tmp_path, tag, options):
    before = await tag_of(tmp_path, HIDING_MORE, tag)
    route = transformed(HIDING, **options)
    behave = tagged(tag, "cache-control: max-age=60")
    async with Upstream("a", behave) as one, a_gateway(tmp_path, route, cache=ResponseCache()) as edge:
        edge.there_are(one)
        own = (await edge.client.get("/things/x")).headers["etag"]
        told = [
            await edge.client.get("/things/x", headers={"if-none-match": known})
            for known in (tag, before, f"{tag}, {before}", own, f"{before}, {own}", "*", "nonsense")
        ]

    assert [one.status_code for one in told] == [200, 200, 200, 304, 304, 304, 200]
    assert {one.headers["etag"] for one in told} == {own}
    assert {one.text for one in told} == {'{"name":"n"}', ""}


@pytest.mark.parametrize("transforms", [HIDING, None], ids=["changed", "plain"])
async def test_a_precondition_reaches_the_service_under_the_tag_it_gave(tmp_path, transforms):
    routes = transformed(HIDING), transformed(transforms, name="put", method="PUT", idempotency="accepted")
    async with Upstream("a", tagged('"abc"')) as one, a_gateway(tmp_path, *routes) as edge:
        edge.there_are(one)
        own = (await edge.client.get("/things/x")).headers["etag"]
        for known in (own, '"abc"', "*"):
            await edge.client.put("/things/x", content=b"{}", headers={"if-match": known, "if-none-match": known})

    for name in ("if-match", "if-none-match"):
        assert [asked.value(name) for asked in one.asked] == [None, '"abc"', '"abc"', "*"]


async def test_what_was_said_of_the_body_as_it_was_goes_with_it(tmp_path):
    digests = ("content-digest: a=:b=:", "repr-digest: a=:b=:", "digest: a=b", "content-md5: a")
    async with Upstream("a", tagged('"abc"', *digests)) as one, a_gateway(tmp_path, transformed(HIDING)) as edge:
        edge.there_are(one)
        response = await edge.client.get("/things/x", headers={"if-modified-since": "Sun, 22 Nov 2026 00:00:00 GMT"})

    assert not {"content-digest", "repr-digest", "digest", "content-md5"} & set(response.headers)
    assert one.asked[0].value("if-modified-since") is None
