import asyncio
import json

import jsonschema
import pytest
from structlog.testing import capture_logs

from edge.cache.answering import ResponseCache
from edge.openapi import describe
from edge.routes import load
from edge.rpc.failures import NotExecuted, RemoteRefusal
from shared.metrics.counting import registry
from shared.values.identifiers import new_id
from tests.builders.tables import a_route, table_text
from tests.builders.waiting import eventually_async
from tests.fakes.edge import ROUTES, FakeRpc, a_token, collaborators, serving

pytestmark = pytest.mark.anyio

HOME = "/api/home"
GUEST_CART = "c" * 43
CATEGORY = {"id": 1, "name": "Food", "description": ""}
PRODUCT = {
    "id": 1, "name": "Tea", "description": "", "price": "1.00", "currency": "EUR", "stock": 3, "image": "",
    "category": CATEGORY, "sku": "tea", "version": 4, "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-01T00:00:00Z",
}  # fmt: skip
CART = {
    "id": "c-1", "version": 2, "items": [], "item_count": 0, "subtotal": "0.00", "currency": "EUR",
    "expires_at": None, "warnings": [], "cart_token": None,
}  # fmt: skip
NONE_ELSE = {"refused": [], "skipped": []}
ORDER = {"id": new_id(), "version": 9, "total": "1.00"}


def the_shop(**changes):
    answers = {
        "list_products": {"items": [PRODUCT], "next_cursor": "more"},
        "get_cart": CART,
        "list_orders": {"items": [ORDER], "next_cursor": None},
    }
    return FakeRpc(**answers | changes)


async def home_of(rpc, **headers):
    async with serving(collaborators(rpc)) as client:
        return await client.get(HOME, headers={name.replace("_", "-"): value for name, value in headers.items()})


def user():
    return f"Bearer {a_token()}"


def is_described(body):
    document = json.loads(describe(load(ROUTES)))
    schema = {"$ref": "#/components/schemas/GetHomeAnswer", "components": document["components"]}
    return jsonschema.Draft202012Validator(schema).is_valid(body)


async def test_a_user_sees_products_cart_and_last_orders_in_this_order():
    rpc = the_shop()
    answer = await home_of(rpc, authorization=user())

    assert answer.status_code == 200
    assert list(answer.json()) == ["featured", "cart", "orders", "unavailable", "refused", "skipped"]
    assert answer.json() == {
        "featured": [PRODUCT],
        "cart": {name: value for name, value in CART.items() if name != "cart_token"},
        "orders": [{name: value for name, value in ORDER.items() if name != "version"}],
        "unavailable": [],
        "refused": [],
        "skipped": [],
    }
    assert {name: arguments for name, arguments, _ in rpc.calls} == {
        "list_products": {"sort": "newest", "limit": 12},
        "get_cart": {"user_id": "user-1"},
        "list_orders": {"user_id": "user-1", "limit": 3},
    }
    assert answer.headers["cache-control"] == "no-store"


async def test_nobody_is_asked_about_somebody_who_is_not_known_and_nothing_is_called_down():
    rpc = the_shop()
    answer = await home_of(rpc)

    assert answer.json() == {
        "featured": [PRODUCT], "cart": None, "orders": None, "unavailable": [], "refused": [],
        "skipped": ["cart", "orders"],
    }  # fmt: skip
    assert [name for name, _, _ in rpc.calls] == ["list_products"]
    assert is_described(answer.json())


async def test_a_guest_has_the_cart_that_the_token_opens_and_never_sees_the_token():
    rpc = the_shop(get_cart=CART | {"cart_token": GUEST_CART})
    answer = await home_of(rpc, x_cart_token=GUEST_CART)

    assert answer.json()["cart"]["id"] == "c-1"
    assert answer.json()["orders"] is None
    assert GUEST_CART not in answer.text
    assert next(arguments for name, arguments, _ in rpc.calls if name == "get_cart") == {"cart_token": GUEST_CART}


async def test_a_cart_that_there_is_not_is_no_outage():
    answer = await home_of(
        the_shop(get_cart=RemoteRefusal("cart.not_found", "There is no such cart.", {})), x_cart_token=GUEST_CART
    )

    body = answer.json()
    assert (answer.status_code, body["cart"]) == (200, None)
    assert (body["unavailable"], body["refused"], body["skipped"]) == ([], ["cart"], ["orders"])
    assert is_described(body)


@pytest.mark.parametrize("code", ["quota.exceeded", "idempotency.still_running"])
async def test_a_service_that_says_not_now_is_down(code):
    answer = await home_of(the_shop(get_cart=RemoteRefusal(code, "Not now.", {})), x_cart_token=GUEST_CART)

    assert (answer.json()["unavailable"], answer.json()["refused"]) == (["cart"], [])


@pytest.mark.parametrize("method", ["list_products", "get_cart", "list_orders"])
async def test_a_part_that_is_down_is_named_and_the_others_come(method):
    part = {"list_products": "featured", "get_cart": "cart", "list_orders": "orders"}[method]
    answer = await home_of(the_shop(**{method: NotExecuted("nobody is there")}), authorization=user())

    body = answer.json()
    assert answer.status_code == 200
    assert body["unavailable"] == [part]
    assert [name for name in ("featured", "cart", "orders") if body[name] is None] == [part]
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("query", "headers", "pointer"),
    [("?limit=3", {}, "/limit"), ("", {"X-Cart-Token": "mine"}, "/X-Cart-Token")],
    ids=["query", "cart"],
)
async def test_what_no_part_can_take_is_refused_before_anybody_is_asked(query, headers, pointer):
    rpc = the_shop()
    async with serving(collaborators(rpc)) as client:
        answer = await client.get(HOME + query, headers=headers)

    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert rpc.calls == []


async def test_a_token_that_is_not_valid_is_refused():
    answer = await home_of(the_shop(), authorization="Bearer nonsense")

    assert (answer.status_code, answer.json()["code"]) == (401, "auth.invalid_token")


async def test_head_and_options_do_as_everywhere():
    async with serving(collaborators(the_shop())) as client:
        head, options = await client.head(HOME), await client.options(HOME)

    assert (head.status_code, head.content) == (200, b"")
    assert (options.status_code, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS")


async def test_when_the_client_hangs_up_nobody_goes_on_for_it():
    begun, ended = [], []

    async def slow(_arguments, context):
        begun.append(context)
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(context)

    rpc = the_shop(**dict.fromkeys(("list_products", "get_cart", "list_orders"), slow))
    async with serving(collaborators(rpc)) as client:
        _, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        writer.write(f"GET {HOME} HTTP/1.1\r\nHost: x\r\nAuthorization: {user()}\r\n\r\n".encode())
        await eventually_async(lambda: len(begun) == 3, within=5)
        writer.transport.abort()
        await eventually_async(lambda: len(ended) == 3, within=1.4, what="they end before their budget does")


def a_page(tmp_path, *, cache=None, **changes):
    part = {"name": "featured", "required": False, "call": "catalog.list_products", "page": True} | changes
    other = {"name": "tree", "required": False, "call": "catalog.list_categories"}
    words = {"answer": {"cache_control": "public, no-cache", "etag": "content"}, "cache": cache} if cache else {}
    route = a_route(path="/page", call="left out", arguments="left out", aggregate={"parts": [part, other]}, **words)
    path = tmp_path / "routes.yaml"
    path.write_text(table_text(route))
    return path


async def test_a_partial_answer_is_never_kept_and_a_whole_one_is(tmp_path):
    rpc = FakeRpc(list_products=NotExecuted("away"), list_categories=[CATEGORY])
    async with serving(collaborators(rpc, cache=ResponseCache()), a_page(tmp_path, cache={"ttl": 60})) as client:
        partial = await client.get("/page")
        rpc.answers["list_products"] = {"items": [PRODUCT], "next_cursor": None}
        whole = await client.get("/page")
        rpc.answers["list_products"] = NotExecuted("away again")
        kept = await client.get("/page")
        unchanged = await client.get("/page", headers={"If-None-Match": whole.headers["etag"]})

    assert partial.json() == {"featured": None, "tree": [CATEGORY], "unavailable": ["featured"]} | NONE_ELSE
    assert partial.headers["cache-status"] == "kirana; fwd=miss"
    assert whole.headers["cache-status"] == "kirana; fwd=miss; stored"
    assert kept.headers["cache-status"] == "kirana; hit"
    assert kept.content == whole.content
    assert kept.json()["unavailable"] == []
    assert unchanged.status_code == 304


async def test_an_outage_is_counted_each_time_and_logged_once_as_is_its_end():
    rpc = the_shop(list_products=NotExecuted("away"))
    before = told("unavailable"), told("answered"), told("skipped", part="cart")
    with capture_logs() as logs:
        async with serving(collaborators(rpc)) as client:
            for _ in range(2):
                await client.get(HOME)
            rpc.answers["list_products"] = {"items": [], "next_cursor": None}
            for _ in range(2):
                await client.get(HOME)

    after = told("unavailable"), told("answered"), told("skipped", part="cart")
    assert [now - then for now, then in zip(after, before, strict=True)] == [2, 2, 4]
    changes = [line for line in logs if line["event"].startswith("edge.part")]
    assert [(line["event"], line["part"]) for line in changes] == [
        ("edge.part_unavailable", "featured"),
        ("edge.part_available_again", "featured"),
    ]


def told(outcome, part="featured"):
    labels = {"route": "get_home", "part": part, "outcome": outcome}
    return registry.get_sample_value("kirana_edge_parts_total", labels) or 0


async def test_what_stands_in_for_a_part_is_said_to_do_so(tmp_path):
    rpc = FakeRpc(list_products=NotExecuted("away"), list_categories=[])
    async with serving(collaborators(rpc), a_page(tmp_path, fallback=[])) as client:
        answer = await client.get("/page")

    assert answer.json() == {"featured": [], "tree": [], "unavailable": ["featured"]} | NONE_ELSE


async def test_the_answer_is_described_as_it_is(tmp_path):
    document = json.loads(describe(load(ROUTES)))
    schemas = document["components"]["schemas"]

    assert list(schemas["GetHomeAnswer"]["properties"]) == [
        "featured", "cart", "orders", "unavailable", "refused", "skipped",
    ]  # fmt: skip
    assert "cart_token" not in schemas["GetHomeCart"]["properties"]
    assert "version" not in schemas["GetHomeOrders"]["properties"]
    assert not is_described({"featured": [], "cart": None, "orders": None})
    page = json.loads(describe(load(a_page(tmp_path, fixed={"limit": 3}))))
    assert page["paths"]["/page"]["get"]["parameters"] == []
