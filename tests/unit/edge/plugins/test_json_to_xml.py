import asyncio
import json
from importlib import import_module
from xml.etree import ElementTree as ET

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.cache.answering import ResponseCache
from edge.plugins import Headers, Refused, Request, Response
from tests.builders.plugins import EXAMPLES
from tests.builders.tables import a_route
from tests.fakes.edge import FakeRpc

pytestmark = pytest.mark.anyio

PRODUCT = "/api/products/7"
XML = {"Accept": "application/xml"}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture
def module(packages):
    packages.offer_examples()
    return import_module("kirana_edge_examples.json_to_xml")


@pytest.fixture(scope="module")
def to_xml():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLES)
        return import_module("kirana_edge_examples.json_to_xml").to_xml


def in_xml(**changes):
    return a_route(plugins=[{"name": "json-to-xml", "options": {"root": "product"}}], **changes)


async def test_who_likes_xml_better_gets_it_and_everybody_else_json(module, an_edge):
    product = {"id": 7, "name": "Tea & <b>", "tags": ["a", None], "ok": True, "price": "1.00"}
    async with an_edge(in_xml(), rpc=FakeRpc(get_product=product)) as client:
        xml = await client.get(PRODUCT, headers=XML)
        plain = await client.get(PRODUCT)

    assert xml.headers["content-type"] == "application/xml; charset=utf-8"
    assert xml.text == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<product><id>7</id><name>Tea &amp; &lt;b&gt;</name>'
        '<tags><item>a</item><item nil="true"/></tags><ok>true</ok><price>1.00</price></product>'
    )
    assert int(xml.headers["content-length"]) == len(xml.content)
    assert plain.json() == product
    assert plain.headers["content-type"] == "application/json"
    assert xml.headers["vary"] == plain.headers["vary"] == "Accept"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/xml", "application/xml"),
        ("text/xml", "text/xml"),
        ("TEXT/XML;q=0.5 , application/json;q=0.4", "text/xml"),
        ("application/xml;q=0.9, */*;q=0.8", "application/xml"),
        ("text/html, application/xml;q=0.9", "application/xml"),
        ("application/json, application/xml", None),
        ("application/xml;q=0.9, */*", None),
        ("application/xml;q=0", None),
        ("application/xml;q=two", None),
        ("application/xml;q=nan", None),
        ("*/*", None),
        ("", None),
        ("text/html", None),
    ],
)
def test_the_client_says_what_it_likes_better(module, accept, kind):
    assert module.preferred(accept) == kind


@settings(max_examples=200, deadline=None)
@given(value=JSON_VALUES)
def test_whatever_the_json_the_xml_can_be_read_and_says_the_same(to_xml, value):
    document = to_xml(orjson.loads(orjson.dumps(value)), root="answer")

    assert _said(ET.fromstring(document)) == _meant(value)


def _meant(value):
    """What of a value XML can say: its text, or what its members say, under their names."""
    if isinstance(value, dict):
        return [(_clean(name), _meant(inner)) for name, inner in value.items()] or ""
    if isinstance(value, list):
        return [("item", _meant(inner)) for inner in value] or ""
    return "" if value is None else _clean(value) if isinstance(value, str) else orjson.dumps(value).decode()


def _said(element):
    return [(inner.get("name", inner.tag), _said(inner)) for inner in element] or (element.text or "")


def _clean(text):
    allowed = ((0x20, 0xD7FF), (0xE000, 0xFFFD), (0x10000, 0x10FFFF))
    return "".join(
        one if one in "\t\n\r" or any(low <= ord(one) <= high for low, high in allowed) else "\ufffd" for one in text
    )


async def test_each_representation_has_a_tag_of_its_own(module, an_edge):
    words = {"answer": {"cache_control": "public, no-cache", "etag": "content"}, "cache": {"ttl": 60}}
    async with an_edge(in_xml(**words), cache=ResponseCache()) as client:
        plain = await client.get(PRODUCT)
        xml = await client.get(PRODUCT, headers=XML)
        tags = plain.headers["etag"], xml.headers["etag"]
        unchanged = await client.get(PRODUCT, headers=XML | {"If-None-Match": f'"other", {tags[1]}'})
        other = await client.get(PRODUCT, headers=XML | {"If-None-Match": tags[0]})
        json_unchanged = await client.get(PRODUCT, headers={"If-None-Match": tags[0]})

    assert tags[0] != tags[1]
    assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", tags[1])
    assert (other.status_code, other.content) == (200, xml.content)
    assert json_unchanged.status_code == 304
    assert xml.headers["cache-status"] == "kirana; hit"


async def test_head_has_the_headers_of_the_xml(module, an_edge):
    async with an_edge(in_xml()) as client:
        head = await client.head(PRODUCT, headers=XML)

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == "application/xml; charset=utf-8"


async def test_problems_stay_problem_documents(module, an_edge):
    async with an_edge(in_xml()) as client:
        refused = await client.get("/api/products/x", headers=XML)

    assert refused.status_code == 400
    assert refused.headers["content-type"] == "application/problem+json"


def run(module, body, *more, method="GET", status=200, known='"1"', **headers):
    stage = module.make(module.XmlOptions(), {})

    async def proceed(request):
        assert "if-none-match" not in request.headers
        response = Response(body, status=status, headers=headers)
        for name, value in more:
            response.headers.add(name, value)
        return response

    asked = Request(method=method, headers=Headers({"accept": "text/xml", "if-none-match": known}))
    return asyncio.run(stage(asked, proceed))


@pytest.mark.parametrize("tag", ['"1"', 'W/"1"'])
@pytest.mark.parametrize("known", ["*", '"1-xml"', 'W/"1-xml"'])
def test_what_the_client_has_already_is_not_sent_again(module, tag, known):
    assert run(module, b"{}", etag=tag, known=known).status == 304


@pytest.mark.parametrize("known", ["*", '"1-xml"'])
def test_only_a_reader_of_a_plain_answer_has_it_already(module, known):
    assert run(module, b"{}", etag='"1"', known=known, method="POST").status == 200
    assert run(module, b"{}", etag='"1"', known=known, status=404).status == 404
    assert run(module, b"{}", known="*").status == 200


@pytest.mark.parametrize(
    "body", [b"nonsense", json.dumps([]).encode() * 2, b"[" * 100 + b"]" * 100, b"[" * 1000 + b"]" * 1000]
)
def test_what_cannot_be_told_in_xml_is_no_answer(module, body):
    with pytest.raises(Refused) as refused:
        run(module, body)

    assert refused.value.code == "upstream.unusable"


def test_a_number_is_told_as_it_is_written(module):
    answer = run(module, b'{"n":123456789012345678901234567890,"amount":[12345678901234567.89,1.10]}').answer

    assert b"<n>123456789012345678901234567890</n>" in answer.body
    assert b"<item>12345678901234567.89</item><item>1.10</item>" in answer.body


def test_vary_is_added_to_what_varies_already(module):
    assert run(module, b"{}", vary="Origin").headers["vary"] == "Origin, Accept"
    assert run(module, b"{}", vary="accept").headers["vary"] == "accept"
    assert run(module, b"{}", vary="*").headers["vary"] == "*"
    assert run(module, b"{}", ("vary", "Cookie"), vary="Origin").headers["vary"] == "Origin, Cookie, Accept"


def test_what_was_said_of_the_json_is_not_said_of_the_xml(module):
    response = run(module, b"{}", ("repr-digest", "a=:b=:"), ("x-other", "c"))

    assert "repr-digest" not in response.headers
    assert response.headers["x-other"] == "c"


def test_an_answer_that_is_packed_is_left_alone(module):
    response = run(module, b"\x1f\x8b", **{"content-encoding": "gzip"})

    assert response.content_type == "application/json"
