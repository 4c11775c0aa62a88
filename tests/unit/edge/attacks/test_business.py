"""What a client might try to gain by asking for it: each gets the answer that is promised, and no service is asked."""

import pytest

from shared.contracts import cart, catalog, identity, notification, order
from tests.builders.answers import a_cart_answer, a_product_answer, an_order_answer
from tests.builders.raw_http import LAST, request, said
from tests.fakes.edge import FakeRpc, a_token, collaborators, serving

pytestmark = pytest.mark.anyio

SHOP = "https://shop.example"
LINE = {"product_id": 1, "quantity": 1}
USER = {"username": "somebody", "password": "a decent one", "password2": "a decent one", "email": "some@body.example"}
PRODUCT = {"name": "Rice", "description": "", "price": "1.00", "category_id": 1, "stock": 1}


def caller(**claims):
    return {"Authorization": f"Bearer {a_token(**claims)}"}


SELLER = caller(scope="catalog:write")


async def assert_fields_refused(method, path, body, *pointers, headers=None):
    """Exactly these fields are named, and no service hears of it."""
    rpc = FakeRpc()
    async with serving(collaborators(rpc)) as client:
        answer = await client.request(method, path, json=body, headers={"Idempotency-Key": "k", **(headers or {})})
    assert (answer.status_code, answer.json()["code"]) == (400, "request.invalid"), answer.text
    assert {fault["pointer"] for fault in answer.json()["errors"]} == set(pointers)
    assert rpc.calls == []


async def test_c02_no_field_can_be_set_that_is_not_on_offer():
    extra = {"role": "admin", "is_admin": True, "scope": "edge:admin", "id": "1", "created_at": "2020-01-01T00:00:00Z"}
    await assert_fields_refused("POST", "/api/users", USER | extra, *(f"/{name}" for name in extra))
    own = {"user_id": "other", "status": "paid", "payment_status": "captured", "is_completed": True}
    await assert_fields_refused(
        "POST", "/api/orders", {"items": [LINE], **own}, *(f"/{name}" for name in own), headers=caller()
    )
    kept = {"id": 9, "version": 1, "created_at": "2020-01-01T00:00:00Z"}
    await assert_fields_refused(
        "PATCH", "/api/products/7", {"name": "N", **kept}, *(f"/{name}" for name in kept), headers=SELLER
    )
    await assert_fields_refused("POST", "/api/cart/items", LINE | {"cart_id": "other"}, "/cart_id", headers=caller())


async def test_c04_what_is_for_operators_cannot_be_named_and_what_is_for_admins_needs_their_scope():
    contracts = (identity, catalog, cart, order, notification)
    methods = [method for part in contracts for method in part.METHODS]
    rpc = FakeRpc()
    async with serving(collaborators(rpc, rate_scale=100)) as client:
        for method in methods:
            for path in (
                f"/{method.routing_key}",
                f"/api/{method.service}/{method.name}",
                f"/rpc/{method.routing_key}",
            ):
                answer = await client.post(path, json={}, headers=caller())
                assert answer.status_code == 404, path
        for verb, path in (("GET", "/admin/routes"), ("GET", "/admin/breakers"), ("POST", "/api/products")):
            assert (await client.request(verb, path, headers=caller())).status_code == 403, path
            assert (await client.request(verb, path)).status_code == 401, path
            assert (await client.request(verb, path, headers=caller(scope="orders:manage x"))).status_code == 403, path
    assert len(methods) > 20
    assert rpc.calls == []


async def test_c05_a_quantity_is_a_whole_number_from_1_to_99():
    for wrong in (0, -1, 100, 10**9, 1.5, "1", None, True):
        item = {"product_id": 1, "quantity": wrong}
        await assert_fields_refused("POST", "/api/cart/items", item, "/quantity", headers=caller())
    await assert_fields_refused("PUT", "/api/cart/items/7", {"quantity": 100}, "/quantity", headers=caller())
    bad = [LINE, LINE | {"quantity": -1}, LINE | {"quantity": 1.5}]
    await assert_fields_refused(
        "POST", "/api/orders", {"items": bad}, "/items/1/quantity", "/items/2/quantity", headers=caller()
    )
    await assert_fields_refused("POST", "/api/orders", {"items": []}, "/items", headers=caller())
    await assert_fields_refused("POST", "/api/orders", {"items": [LINE] * 1000}, "/items", headers=caller())


async def test_c06_prices_come_from_the_shop():
    line = LINE | {"price": "0.01", "unit_price": "0.01", "discount": "99"}
    body = {"items": [line], "total": "0.01", "currency": "XXX"}

    await assert_fields_refused(
        "POST", "/api/orders", body,
        "/items/0/price", "/items/0/unit_price", "/items/0/discount", "/total", "/currency",
        headers=caller(),
    )  # fmt: skip


async def test_c08_an_order_needs_a_key_that_can_be_kept():
    rpc = FakeRpc(place_order=an_order_answer())
    async with serving(collaborators(rpc)) as client:
        without = await client.post("/api/orders", json={"items": [LINE]}, headers=caller())
        assert (without.status_code, without.json()["code"]) == (400, "idempotency.key_required")
        for key in ("x" * 256, "", "a\tb", "ключ".encode()):
            answer = await client.post(
                "/api/orders", json={"items": [LINE]}, headers=caller() | {"Idempotency-Key": key}
            )
            assert answer.status_code == 400, key
            assert answer.json()["code"].startswith("idempotency.key_"), key
        assert rpc.calls == []
        longest = caller() | {"Idempotency-Key": "x" * 255}
        assert (await client.post("/api/orders", json={"items": [LINE]}, headers=longest)).status_code == 201
        other = caller(sub="user-2", sid="session-2") | {"Idempotency-Key": "x" * 255}
        await client.post("/api/orders", json={"items": [LINE]}, headers=other)
    mine, theirs = (context.operation_id for *_, context in rpc.calls)
    assert mine != theirs, "the same key of another caller is another operation"


async def test_c12_a_page_has_1_to_100_items_and_its_cursor_is_ours():
    rpc = FakeRpc(list_products={"items": [], "next_cursor": None}, list_orders={"items": [], "next_cursor": None})
    async with serving(collaborators(rpc)) as client:
        for path in ("/api/products", "/api/orders"):
            for limit in ("-1", "0", "101", "1e9", "1000000000", "", "ten", "1.0", "0x1", "٣", " 1", "9" * 400):
                answer = await client.get(path, params={"limit": limit}, headers=caller())
                assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/limit"), (path, limit)
            for cursor in ("", "x", "AAAA", "e30", "../..", "9" * 2000, "AAAA.BBBB"):
                answer = await client.get(path, params={"cursor": cursor}, headers=caller())
                assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/cursor"), (path, cursor)
    assert rpc.calls == []


INWARD = [
    "//evil.example/a.png", "/\\evil.example/a.png", "http://169.254.169.254/latest/", "http://127.0.0.1:15672/",
    "http://localhost:15672/", "http://[::1]/", "http://2130706433/", "http://0x7f.1/", "file:///etc/passwd",
    "gopher://a.example/", "javascript:alert(1)", "data:text/html,x", "http://user@a.example/", "http:///a", "ftp://a.example/",
    "http://a.example:999999/", "\\\\host\\share", "http://a.example/ b", "HTTP://a.example/\n",
]  # fmt: skip


async def test_c13_no_picture_leads_into_our_own_network():
    for image in INWARD:
        await assert_fields_refused("POST", "/api/products", PRODUCT | {"image": image}, "/image", headers=SELLER)
    rpc = FakeRpc(create_product=a_product_answer())
    async with serving(collaborators(rpc)) as client:
        for image in ("", "/a.png", "https://pictures.example/a/b.png?c=1", "http://a.b.example:8080/x"):
            answer = await client.post("/api/products", json=PRODUCT | {"image": image}, headers=SELLER)
            assert answer.status_code == 201, image
    assert len(rpc.calls) == 4


async def test_c14_no_header_of_a_client_gets_into_what_others_see():
    forged = {
        "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "gopher", "X-Original-URL": "/admin/routes",
        "X-Rewrite-URL": "/admin/routes", "Forwarded": "host=evil.example", "X-Forwarded-For": "1.2.3.4",
    }  # fmt: skip
    page = {"items": [], "next_cursor": "more"}
    rpc = FakeRpc(list_products=page, get_product=a_product_answer(), get_cart=a_cart_answer())
    async with serving(collaborators(rpc)) as client:
        for path in ("/api/products", "/api/products/7", "/openapi.json", "/nowhere"):
            answer = await client.get(path, headers=forged | {"Host": "shop.example"})
            assert "evil.example" not in answer.text + str(answer.headers), path
        private = await client.get("/api/cart", headers=caller())
    assert private.status_code == 200
    assert private.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "origin",
    [
        "null", "https://shop.example.evil.example", "https://evilshop.example", "https://a.shop.example",
        "http://shop.example", "https://shop.example:8443", "https://shop.example/", "HTTPS://SHOP.EXAMPLE",
        "https://shop.example, https://evil.example", "*", "",
    ],
    ids=repr,
)  # fmt: skip
async def test_c15_only_the_very_origin_on_the_list_is_allowed(origin):
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    async with serving(collaborators(cors_origins=(SHOP,))) as client:
        answers = [await client.get("/health/live", headers=asked), await client.options("/api/orders", headers=asked)]
        allowed = await client.options("/api/orders", headers=asked | {"Origin": SHOP})

    for answer in answers:
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert answer.headers["vary"] == "Origin"
    assert allowed.headers["access-control-allow-origin"] == SHOP
    assert "access-control-allow-credentials" not in allowed.headers


async def test_c16_there_are_no_old_versions_and_no_doors_of_the_house():
    async with serving(collaborators()) as client:
        for path in (
            "/debug", "/metrics", "/api/v1/products", "/v1/api/products", "/api/v0/orders", "/server-status", "/.env",
            "/.git/config", "/actuator", "/inspector", "/reload", "/shutdown", "/v1/agent/services", "/api/overview",
            "/ui/", "/swagger", "/graphql", "/api", "/admin", "/docs/../routes.yaml", "/docs/routes.yaml",
            "/docs/..%2froutes.yaml", "/robots.txt", "/api/rpc",
        ):  # fmt: skip
            heard = await said(client.base_url.port, request(path.encode()) + LAST)
            assert heard.statuses == [404, 200], path
            assert "server" not in heard.headers
            assert "x-powered-by" not in heard.headers


async def test_c16_the_edge_listens_on_this_machine_only_unless_told_otherwise():
    assert collaborators().settings.host == "127.0.0.1"
