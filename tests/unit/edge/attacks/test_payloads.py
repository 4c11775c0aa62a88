"""Bodies, values and parameters that break the careless: each gets the answer that is promised, at once."""

import json
import time

import pytest

from shared.contracts.catalog import MAX_ON_HAND
from tests.builders.answers import a_product_answer, an_order_answer
from tests.builders.raw_http import LAST, request, said
from tests.fakes.edge import FakeRpc, a_token, collaborators, serving

pytestmark = pytest.mark.anyio

JSON = {"Content-Type": "application/json"}
USER = {"username": "somebody", "password": "a decent one", "password2": "a decent one", "email": "some@body.example"}
PRODUCT = {"name": "Rice", "description": "", "price": "1.00", "category_id": 1, "stock": 1}
SOON = 2.0
"""Seconds; on an idle machine each takes some milliseconds."""


async def answers(method, path, *variants, headers=JSON, scope="catalog:write", **rpc_answers):
    """The answers to these bodies, one after another, and the calls that reached a service."""
    rpc = FakeRpc(**rpc_answers)
    async with serving(collaborators(rpc, rate_scale=1000)) as client:
        got = []
        for number, variant in enumerate(variants):
            content = variant if isinstance(variant, bytes) else json.dumps(variant).encode()
            began = time.process_time()
            sent = {"Authorization": f"Bearer {a_token(scope=scope)}", "Idempotency-Key": f"key-{number}", **headers}
            got.append(await client.request(method, path, content=content, headers=sent))
            assert time.process_time() - began < SOON, content[:100]
    return got, rpc.calls


async def assert_refused(method, path, *variants, status=400, code=None, **options):
    got, calls = await answers(method, path, *variants, **options)
    for answer, variant in zip(got, variants, strict=True):
        assert answer.status_code == status, (variant[:100] if isinstance(variant, bytes) else variant, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == code or code is None, answer.text
    assert calls == []
    return got


def ordering(quantity_text):
    return b'{"items": [{"product_id": 1, "quantity": ' + quantity_text + b"}]}"


async def test_d01_what_is_not_one_json_text_is_malformed():
    await assert_refused(
        "POST", "/api/orders",
        b"{", b"{'a': 1}", b'\xef\xbb\xbf{"items": []}', b'{"items": []} x', b"{}{}", b'{"a": "\\ud800"}',
        b'{"a": "\\udc00\\ud800"}', b'{"a": "\xff"}', b'{"a": 1,}', b'{"a": "\x00"}', b"// c\n{}", b"\x00", b"[1",
        b"tru",
        code="request.malformed",
    )  # fmt: skip
    (empty,) = await assert_refused("POST", "/api/orders", b"", code="request.invalid")
    assert empty.json()["errors"] == [{"pointer": "/items", "detail": "This field is required."}]


async def test_d02_numbers_beyond_all_bounds_are_refused_and_never_rounded():
    await assert_refused(
        "POST",
        "/api/orders",
        *(ordering(n) for n in (b"NaN", b"Infinity", b"-Infinity", b"1e400", b"0x1", b"01", b"9" * 400)),
    )
    refused = await assert_refused(
        "POST", "/api/orders",
        *(ordering(n) for n in (b"-0", b"1.0", b"1e0", b"9223372036854775808", b"18446744073709551616", b"-1")),
        code="request.invalid",
    )  # fmt: skip
    assert {answer.json()["errors"][0]["pointer"] for answer in refused} == {"/items/0/quantity"}
    await assert_refused(
        "PUT", "/api/products/7/stock", {"on_hand": MAX_ON_HAND + 1}, {"on_hand": -1}, {"on_hand": 2**63}
    )


async def test_d03_deep_wide_and_colliding_bodies_cost_next_to_nothing():
    await assert_refused(
        "POST", "/api/orders",
        b"[" * 60_000, b'{"a":' * 10_000, b'{"items": ' + b"[" * 40 + b"]" * 40 + b"}", b'{"a": 1, "a": 1}',
        code="request.malformed",
    )  # fmt: skip
    await assert_refused(
        "POST", "/api/orders", json.dumps({f"k{n}": 1 for n in range(5000)}).encode(), code="request.invalid"
    )
    await assert_refused("POST", "/api/orders", b"[" * 100_000, b'{"a": "' + b"x" * 10**6 + b'"}', status=413)


async def test_d03_an_array_longer_than_the_contract_allows_is_refused():
    lines = [{"product_id": 1, "quantity": 1}] * 1200

    (answer,) = await assert_refused("POST", "/api/orders", {"items": lines}, code="request.invalid")

    assert answer.json()["errors"][0]["pointer"] == "/items"
    assert len(answer.content) < 20_000


async def test_d04_types_are_what_they_are():
    await assert_refused("POST", "/api/orders", b"[]", b'"x"', b"1", b"null", b"true", code="request.invalid")
    refused = await assert_refused(
        "POST", "/api/orders",
        *(ordering(wrong) for wrong in (b"true", b"false", b"null", b'"1"', b"[1]", b"{}")),
        code="request.invalid",
    )  # fmt: skip
    assert {answer.json()["errors"][0]["pointer"] for answer in refused} == {"/items/0/quantity"}
    await assert_refused(
        "POST", "/api/users", *(USER | {"username": wrong} for wrong in (None, 7, ["name"], {"a": 1}, True))
    )


KINDS = [
    "text/plain", "application/xml", "text/xml", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded",
    "application/json; charset=utf-16", "application/jsonp", "application/json;charset=latin1", "*/*", "", None,
]  # fmt: skip


async def test_d05_only_json_in_utf_8_is_a_body():
    xml = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'
    rpc = FakeRpc()
    async with serving(collaborators(rpc)) as client:
        for kind in KINDS:
            headers = {} if kind is None else {"Content-Type": kind}
            answer = await client.post("/api/users", content=xml, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (415, "request.media_type"), kind
    assert rpc.calls == []


AMBIGUOUS = {
    "two types": [b"Content-Type: application/json", b"Content-Type: text/plain"],
    "two types, the good one with a charset": [b"Content-Type: application/json; charset=utf-8", b"Content-Type: a/b"],
    "the same type twice": [b"Content-Type: application/json"] * 2,
    "packed behind unpacked": [
        b"Content-Type: application/json",
        b"Content-Encoding: identity",
        b"Content-Encoding: gzip",
    ],
    "packed behind nothing": [b"Content-Type: application/json", b"Content-Encoding:", b"Content-Encoding: br"],
}


@pytest.mark.parametrize("what", AMBIGUOUS)
async def test_d05_a_second_header_hides_nothing_behind_the_first(what):
    rpc = FakeRpc()
    body = json.dumps(USER).encode()
    asked = request(b"/api/users", *AMBIGUOUS[what], b"Content-Length: %d" % len(body), method=b"POST") + body
    async with serving(collaborators(rpc)) as client:
        heard = await said(client.base_url.port, asked + LAST)

    assert (heard.statuses, heard.problem["code"]) == ([415, 200], "request.media_type")
    assert rpc.calls == []


async def test_d05_a_precondition_or_a_cart_that_is_named_twice_is_none():
    rpc = FakeRpc()
    async with serving(collaborators(rpc)) as client:
        for name, values in (("If-Match", (b'"1"', b'"7"')), ("X-Cart-Token", (b"a" * 43, b"b" * 43))):
            twice = [name.encode() + b": " + value for value in values]
            asked = request(b"/api/cart/items/1", *twice, method=b"PUT", body=b'{"quantity": 1}')
            heard = await said(client.base_url.port, asked + LAST)
            assert heard.statuses == [400, 200], name
            assert heard.problem["errors"][0]["pointer"] == f"/{name}"
    assert rpc.calls == []


async def test_d06_whatever_is_accepted_json_is_what_comes():
    async with serving(collaborators(FakeRpc(get_product=a_product_answer()))) as client:
        for wanted in ("application/xml", "text/html;q=0.1", ";;;q=,,", "*/*;q=nan", "x" * 2000, ""):
            answer = await client.get("/api/products/7", headers={"Accept": wanted})
            assert answer.status_code == 200, wanted
            assert answer.headers["content-type"] == "application/json"


async def test_d07_text_is_kept_as_it_is_or_refused():
    await assert_refused(
        "POST", "/api/users", *(USER | {name: "a\x00b"} for name in ("username", "email", "first_name"))
    )
    await assert_refused("POST", "/api/products", PRODUCT | {"name": "a\x00b"}, PRODUCT | {"description": "x" * 5001})
    strange = ["\u202edrow", "Z\u0351\u036b\u0343", "\U0001f35a", "ﬁ", "e\u0301", "\u200b\u2028", "pаypal"]  # noqa: RUF001
    got, calls = await answers(
        "POST", "/api/products", *(PRODUCT | {"name": text} for text in strange), create_product=a_product_answer()
    )
    assert {answer.status_code for answer in got} == {201}
    assert [arguments["name"] for _, arguments, _ in calls] == strange


INJECTIONS = ["' OR 1=1--", "'; DROP TABLE products; --", "1) UNION SELECT * FROM users", "%' AND '1'='1", "\\'; --"]


async def test_d08_sql_is_data_in_text_and_refused_where_a_word_of_ours_is_expected():
    rpc = FakeRpc(list_products={"items": [], "next_cursor": None})
    async with serving(collaborators(rpc)) as client:
        for text in INJECTIONS:
            for field in ("sort", "category", "min_price", "max_price", "in_stock", "limit", "cursor"):
                answer = await client.get("/api/products", params={field: text})
                assert answer.status_code == 400, (field, text)
            assert (await client.get("/api/products", params={"q": text})).status_code == 200
            assert (await client.get(f"/api/products/{text}")).status_code in {400, 404}
    assert [arguments["q"] for _, arguments, _ in rpc.calls] == INJECTIONS


async def test_d09_templates_and_formats_are_literal_and_split_no_log_line(capsys):
    texts = ["{0.__class__}", "%n%s%x", "${jndi:ldap://x/a}", "{{7*7}}", "<script>", "a\r\nX-Evil: 1"]

    got, calls = await answers(
        "POST", "/api/products", *(PRODUCT | {"description": text} for text in texts), create_product=a_product_answer()
    )
    async with serving(collaborators()) as client:
        for text in texts[:-1]:
            missing = await client.get(f"/{text}")
            assert missing.status_code == 404
            assert "49" not in missing.json()["detail"]
            assert "<script>" not in missing.json()["detail"]
        tag = await client.get("/health/live", headers={"X-Request-ID": "${jndi:x}"})

    assert [arguments["description"] for _, arguments, _ in calls] == texts
    assert {answer.status_code for answer in got} == {201}
    assert "x-evil" not in {name for answer in got for name in answer.headers}
    assert tag.headers["x-request-id"] != "${jndi:x}"
    assert not [line for line in capsys.readouterr().out.splitlines() if line.startswith("X-Evil")]


async def test_d10_amounts_are_exact_decimals_and_nothing_else():
    prices = [
        "1.0050",
        "1e-30",
        "1e3",
        "-1.00",
        "+1.00",
        "01.00",
        "1,00",
        " 1.00",
        "1.00\n",
        "NaN",
        "1.",
        ".5",
        "٣.00",
        "",
        "1_0.00",
    ]
    await assert_refused("POST", "/api/products", *(PRODUCT | {"price": price} for price in [*prices, 1.0, 1, None]))


async def test_d11_no_text_sends_a_pattern_into_the_woods():
    began = time.process_time()

    await assert_refused(
        "POST", "/api/users",
        USER | {"email": "a" * 16_000}, USER | {"email": "a@" + "a." * 7_000}, USER | {"email": "@" * 16_000},
        USER | {"username": "a" * 16_000 + "!"}, USER | {"phone_number": "(" * 16_000},
    )  # fmt: skip
    await assert_refused(
        "POST", "/api/products", PRODUCT | {"image": "http://" + "a." * 7_000 + "!"}, PRODUCT | {"sku": "a" * 16_000}
    )
    async with serving(collaborators(FakeRpc(list_products={"items": [], "next_cursor": None}))) as client:
        assert (await client.get("/api/products", params={"q": "(a+)+$" + "a" * 1000})).status_code == 400
        assert (await client.get("/api/products", params={"q": "(a+)+$" + "a" * 100 + "!"})).status_code == 200

    assert time.process_time() - began < 10


async def test_d12_a_parameter_stands_once_by_its_own_name_and_a_hundred_are_the_most():
    async with serving(collaborators(FakeRpc(list_products={"items": [], "next_cursor": None}))) as client:
        for query in ("limit=1&limit=1", "limit[]=1", "limit%5B0%5D=1", "LIMIT=1", "limit=1;limit=2", "__proto__=1"):
            answer = await client.get(f"/api/products?{query}")
            assert (answer.status_code, answer.json()["code"]) == (400, "request.invalid"), query
        many = await client.get("/api/products?" + "&".join(f"a{n}=1" for n in range(101)))
        assert (many.status_code, many.json()["code"]) == (400, "request.malformed")
        assert "100" in many.json()["detail"]
        huge = await client.get("/api/products?" + "&".join("a=1" for _ in range(10_000)))
        assert huge.status_code == 414
        assert (await client.get("/api/products?%ff=1")).status_code == 400
        assert (await client.get("/api/products?limit=1")).status_code == 200


async def test_what_is_wrong_with_a_text_is_said_in_words_and_never_as_a_pattern():
    body = USER | {"username": "!!!", "email": "nobody", "phone_number": "x", "first_name": "a\nb"}

    (answer,) = await assert_refused("POST", "/api/users", body)

    told = {fault["pointer"]: fault["detail"] for fault in answer.json()["errors"]}
    assert told["/username"] == "A letter or digit first, then letters, digits, dots, underscores and hyphens."
    assert told.keys() == {"/username", "/email", "/phone_number", "/first_name"}
    assert not [detail for detail in told.values() if "regex" in detail or "^" in detail]


async def test_a_decent_order_reaches_its_service():
    got, calls = await answers("POST", "/api/orders", ordering(b"1"), place_order=an_order_answer())

    assert got[0].status_code == 201
    assert len(calls) == 1
