"""Bad input gets the documented problem document, changes nothing, and leaves no stack trace in the logs."""

import base64
import json
import time
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.builders.shop import Client, a_product, assert_problem, logged_in, unique

STRANGE_BODIES = [
    b"", b"{", b"[]", b'"text"', b"null", b"{} {}", b'{"items": NaN}', b"\xff\xfe", b'{"items": "\\ud800"}',
    b"[" * 5000 + b"]" * 5000, b'{"a":' * 500 + b"1" + b"}" * 500,
]  # fmt: skip


@pytest.mark.parametrize("body", STRANGE_BODIES, ids=lambda body: repr(body[:20]))
def test_a_body_that_is_not_a_json_object_is_a_400(customer, body):
    answer = customer.post(
        "/api/orders", content=body, headers={"Content-Type": "application/json", "Idempotency-Key": unique("key")}
    )

    assert_problem(answer, 400)


@pytest.mark.parametrize("quantity", [0, -1, 1.5, "1", 100, 10**30, True, None, [], {}])
def test_an_absurd_quantity_is_named_and_orders_nothing(customer, admin, quantity):
    product = a_product(admin, stock=5)

    answer = customer.ordering((product["id"], quantity))

    problem = assert_problem(answer, 400, "request.invalid")
    assert [fault["pointer"] for fault in problem["errors"]] == ["/items/0/quantity"]
    assert customer.get("/api/orders").json() == []
    assert admin.get(f"/api/products/{product['id']}").json()["stock"] == 5


def test_every_bad_field_is_named_at_once(client):
    answer = client.post("/api/users", json={"username": "x", "password": 3, "email": "nowhere", "role": "admin"})

    problem = assert_problem(answer, 400, "request.invalid")
    assert {fault["pointer"] for fault in problem["errors"]} >= {
        "/username",
        "/password",
        "/password2",
        "/email",
        "/role",
    }


def test_a_bad_password_is_named_with_all_other_bad_fields(client):
    body = {"username": "!", "password": "passwordpassword", "password2": "other", "email": "nowhere"}

    problem = assert_problem(client.post("/api/users", json=body), 400, "request.invalid")

    assert {fault["pointer"] for fault in problem["errors"]} == {"/username", "/password", "/password2", "/email"}


@pytest.mark.parametrize(
    "path", ["/api/products/0", "/api/products/abc", "/api/products/99999999999999999999", "/api/products/-1"]
)
def test_an_impossible_product_id_is_refused(client, path):
    assert client.get(path).status_code in {400, 404}
    assert_problem(client.get(path), client.get(path).status_code)


def test_an_unknown_product_is_a_404_everywhere(client, customer):
    assert_problem(client.get("/api/products/987654321"), 404, "catalog.product_not_found")
    assert_problem(customer.ordering((987654321, 1)), 404, "catalog.product_not_found")
    add = client.post("/api/cart/items", json={"product_id": 987654321, "quantity": 1})
    assert_problem(add, 404, "catalog.product_not_found")


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=x",
        "colour=red",
        "cursor=forged",
        "sort=sideways",
        "min_price=cheap",
        "limit=1&limit=2",
    ],
)
def test_a_bad_query_is_a_400(client, query):
    assert_problem(client.get(f"/api/products?{query}"), 400)


def test_a_tampered_cursor_is_refused(client):
    link = client.get("/api/products?limit=1").links["next"]["url"]

    assert client.get(link).status_code == 200
    assert_problem(client.get(link[:-2] + ("AA" if link[-2:] != "AA" else "BB")), 400)


def test_bodies_of_the_wrong_kind_or_size_are_refused(client):
    assert_problem(client.post("/api/users", content=b"a=b", headers={"Content-Type": "text/plain"}), 415)
    assert_problem(client.post("/api/users", content=b"{}"), 415)
    huge = client.post(
        "/api/users", content=b'{"username": "' + b"x" * 2_000_000 + b'"}', headers={"Content-Type": "application/json"}
    )
    assert_problem(huge, 413)


def test_a_chunked_body_is_a_411(client):
    answer = client.post("/api/users", content=iter([b"{}"]), headers={"Content-Type": "application/json"})

    assert_problem(answer, 411)


def test_methods_and_paths_that_do_not_exist(client):
    refused = client.put("/api/products", json={})
    assert_problem(refused, 405)
    assert "GET" in refused.headers["allow"]
    assert_problem(client.get("/api/nothing"), 404)


def test_c01_a_strangers_order_is_not_found(customer, admin):
    product = a_product(admin)
    order = customer.ordering((product["id"], 1)).json()

    for method, path in [("GET", ""), ("POST", "/cancel"), ("GET", "/history")]:
        answer = admin.request(method, f"/api/orders/{order['id']}{path}")
        assert_problem(answer, 404, "order.not_found")
    assert_problem(customer.get("/api/orders/no-such-order"), 404, "order.not_found")


def test_a_missing_key_is_a_400_and_so_is_a_monstrous_one(customer):
    body = {"items": [{"product_id": 1, "quantity": 1}]}

    assert_problem(customer.post("/api/orders", json=body), 400)
    for key in ("x" * 256, "a\tb"):
        assert_problem(customer.post("/api/orders", json=body, headers={"Idempotency-Key": key}), 400)


def test_an_order_takes_no_price_from_the_client(customer, admin):
    product = a_product(admin, price="10.00")

    answer = customer.post(
        "/api/orders",
        json={"items": [{"product_id": product["id"], "quantity": 1, "price": "0.01"}], "total": "0.01"},
        headers={"Idempotency-Key": unique("key")},
    )

    problem = assert_problem(answer, 400)
    assert {fault["pointer"] for fault in problem["errors"]} == {"/items/0/price", "/total"}


def test_a_customer_may_not_do_what_an_admin_may(customer, client):
    body = {"name": "Mine", "description": "", "price": "1.00", "category_id": 1, "stock": 1}

    assert_problem(customer.post("/api/products", json=body), 403)
    assert_problem(client.post("/api/products", json=body), 401)
    assert_problem(customer.get("/admin/routes"), 403)


def forge(stack, *, key="other", algorithm="RS256", header=None, **claims):
    """A token like the shop's own, but for what the test says."""
    real = logged_in(stack)["access"]
    body = jwt.decode(real, options={"verify_signature": False}) | claims
    body = {name: value for name, value in body.items() if value is not None}
    head = jwt.get_unverified_header(real) | (header or {})
    if key == "other":
        key = rsa.generate_private_key(65537, 2048)
    return jwt.encode(body, key, algorithm=algorithm, headers={k: v for k, v in head.items() if k != "alg"})


def part(data):
    return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()


def forgeries(stack):
    pair = logged_in(stack)
    head, body, signature = pair["access"].split(".")
    yield "refresh token as access token", pair["refresh"]
    yield "signed by another key", forge(stack)
    yield "expired", forge(stack, exp=int(time.time()) - 3600)
    yield "alg none", f"{part({'alg': 'none', 'typ': 'at+jwt'})}.{body}."
    yield "HS256", forge(stack, key="x" * 64, algorithm="HS256")
    yield "unknown kid", forge(stack, header={"kid": "../../etc/passwd"})
    yield "cut short", f"{head}.{body}.{signature[:-8]}"
    yield "other body", f"{head}.{part({'sub': 'admin'})}.{signature}"
    yield "garbage", "garbage"
    yield "enormous", "x" * 6000


def test_no_forged_token_opens_anything(stack):
    for name, token in forgeries(stack):
        with Client(stack, token=token) as intruder:
            for path in ("/api/orders", "/api/cart"):
                answer = intruder.get(path)
                assert answer.status_code == 401, f"{name} on {path}: {answer.status_code}"
                assert_problem(answer, 401)
                assert "www-authenticate" in answer.headers


def test_passwords_must_agree_be_long_and_uncommon(client):
    base = {"username": unique("user"), "email": f"{unique('m')}@example.com"}
    for password, again in [
        ("correct horse 1", "correct horse 2"),
        ("short", "short"),
        ("passwordpassword", "passwordpassword"),
    ]:
        assert_problem(
            client.post("/api/users", json=base | {"password": password, "password2": again}), 400, "request.invalid"
        )


def test_wrong_password_and_unknown_user_are_the_same_answer(stack, client):
    known = stack.admin_username

    answers = [
        client.post("/api/token", json={"username": name, "password": "x" * 20}) for name in (known, unique("ghost"))
    ]

    problems = [assert_problem(answer, 401, "identity.invalid_credentials") for answer in answers]
    assert problems[0]["detail"] == problems[1]["detail"]


def test_bad_input_leaves_no_stack_trace_in_the_logs(stack):
    spools = [spool for spool in Path(stack.spool).glob("*.jsonl") if "canary" not in spool.name]  # they err on purpose
    lines = [json.loads(line) for spool in spools for line in spool.read_text().rpartition("\n")[0].splitlines()]

    traces = [line for line in lines if "stack_trace" in line.get("error", {}) and line["log"]["level"] == "error"]
    assert not traces, traces[:2]
