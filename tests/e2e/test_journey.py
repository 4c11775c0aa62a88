"""The first order: from a stranger at the door to the mail in the box, over HTTP only."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders.shop import Client, a_product, logged_in, registered, settled, unique
from tests.builders.waiting import eventually

KIRANA = Path(sys.executable).parent / "kirana"


def mails(stack, address):
    done = subprocess.run(
        [KIRANA, "mail", "--to", address, "--json"],
        env={"KIRANA_HOME": str(stack.home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_a_stranger_becomes_a_customer_with_a_confirmed_order_and_one_mail(stack, client, admin):
    product = a_product(admin, price="3.25", stock=10)
    user = registered(stack)
    found = client.get("/api/products", params={"q": product["name"]}).json()
    assert product["id"] in [each["id"] for each in found]

    guest = client.post("/api/cart/items", json={"product_id": product["id"], "quantity": 2})
    cart_token = guest.headers["x-cart-token"]
    assert "cart_token" not in guest.json()
    pair = logged_in(stack, user, cart_token=cart_token)
    assert pair["token_type"] == "Bearer"

    with Client(stack, token=pair["access"]) as customer:
        cart = settled(lambda: customer.get("/api/cart")).json()
        assert [(item["product_id"], item["quantity"]) for item in cart["items"]] == [(product["id"], 2)]
        key = unique("key")
        placed = settled(lambda: customer.checkout(key=key))
        again = customer.checkout(key=key)
        order = placed.json()

        assert placed.status_code == 201
        assert placed.headers["location"] == f"/api/orders/{order['id']}"
        assert (order["total"], order["currency"], order["status"]) == ("6.50", "EUR", "confirmed")
        assert again.content == placed.content
        assert again.headers["idempotency-replayed"] == "true"
        assert eventually(lambda: settled(lambda: customer.get("/api/cart")).json()["items"] == [])
        assert settled(lambda: client.get(f"/api/products/{product['id']}")).json()["stock"] == 8
        assert [each["id"] for each in customer.get("/api/orders").json()] == [order["id"]]

    letters = eventually(lambda: mails(stack, user["email"]))
    assert len(letters) == 1
    assert order["number"] in letters[0]["subject"]


def test_prices_are_frozen_when_ordered(customer, admin):
    product = a_product(admin, price="10.00")
    order = customer.ordering((product["id"], 1)).json()

    admin.patch(f"/api/products/{product['id']}", json={"price": "99.00"})

    kept = customer.get(f"/api/orders/{order['id']}").json()
    assert kept["total"] == "10.00"
    assert kept["items"][0]["product"]["price"] == "10.00"


def test_cancelling_gives_the_stock_back_once(customer, admin, client):
    product = a_product(admin, stock=5)
    order = customer.ordering((product["id"], 3)).json()

    cancelled = customer.post(f"/api/orders/{order['id']}/cancel")
    twice = customer.post(f"/api/orders/{order['id']}/cancel")

    assert cancelled.json()["status"] == "cancelled"
    assert twice.status_code == 409
    assert twice.json()["code"] == "order.invalid_transition"
    eventually(lambda: client.get(f"/api/products/{product['id']}").json()["stock"] == 5)
    steps = customer.get(f"/api/orders/{order['id']}/history").json()
    assert [step["after"] for step in steps if step["axis"] == "order"][-1] == "cancelled"


def test_short_stock_names_every_short_line_and_holds_nothing(customer, admin, client):
    plenty, short, none = (a_product(admin, stock=stock) for stock in (10, 1, 0))

    refused = customer.ordering((plenty["id"], 2), (short["id"], 2), (none["id"], 1))

    assert refused.status_code == 409
    problem = refused.json()
    assert problem["code"] == "catalog.out_of_stock"
    assert {line["product_id"] for line in problem["shortages"]} == {short["id"], none["id"]}
    assert client.get(f"/api/products/{plenty['id']}").json()["stock"] == 10


def test_refresh_rotates_and_a_tab_that_comes_late_gets_the_same_successor(stack, client):
    pair = logged_in(stack)

    first = client.post("/api/token/refresh", json={"refresh": pair["refresh"]})
    late = client.post("/api/token/refresh", json={"refresh": pair["refresh"]})

    assert first.status_code == late.status_code == 200
    assert first.json()["refresh"] == late.json()["refresh"] != pair["refresh"]


def test_logging_out_stops_the_access_and_the_refresh_token(stack, client):
    pair = logged_in(stack)
    with Client(stack, token=pair["access"]) as session:
        assert session.get("/api/users/me").status_code == 200

        assert session.post("/api/token/revoke").status_code in {200, 204}

        eventually(lambda: session.get("/api/users/me").status_code == 401, within=2)
    assert client.post("/api/token/refresh", json={"refresh": pair["refresh"]}).status_code == 401


def test_keys_are_public_and_hold_no_private_part(client):
    keys = client.get("/.well-known/jwks.json").json()["keys"]

    assert keys
    assert all(key["kty"] == "RSA" and "d" not in key for key in keys)


def test_an_admin_creates_and_changes_a_product_and_a_stale_change_is_refused(admin, client):
    product = a_product(admin)
    etag = client.get(f"/api/products/{product['id']}").headers["etag"]
    path = f"/api/products/{product['id']}"

    changed = admin.patch(path, json={"name": "New name"}, headers={"If-Match": etag})
    stale = admin.patch(path, json={"name": "Newer"}, headers={"If-Match": etag})

    assert changed.json()["name"] == "New name"
    assert stale.status_code == 412
    eventually(lambda: client.get(path, headers={"If-None-Match": changed.headers["etag"]}).status_code == 304)


def test_pages_neither_skip_nor_repeat_while_products_appear(client, admin):
    seen, path, pages = [], "/api/products?limit=100&sort=newest", 0
    while path and pages < 5:
        page = client.get(path)
        seen += [product["id"] for product in page.json()]
        a_product(admin)
        path = page.links.get("next", {}).get("url")
        pages += 1

    assert len(seen) == len(set(seen)) == 500


def test_health_and_documents_are_there(client):
    assert client.get("/health/live").status_code == 200
    assert eventually(lambda: client.get("/health/ready").status_code == 200, what="readiness")
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert "/api/orders" in document["paths"]
    assert "<html" in client.get("/docs").text.lower()


@pytest.mark.parametrize("path", ["/api/products/", "/api/categories/"])
def test_a_trailing_slash_is_accepted_and_never_redirects(client, path):
    assert client.get(path).status_code == 200


def test_head_works_where_get_does_and_options_lists_methods(client):
    assert client.head("/api/products").status_code == 200
    assert client.head("/api/products").content == b""
    listed = client.options("/api/products")
    assert {"GET", "POST", "HEAD"} <= {method.strip() for method in listed.headers["allow"].split(",")}


def test_one_request_is_found_by_its_id_in_every_process(stack, customer, admin):
    product = a_product(admin)
    request_id = unique("trace")
    placed = customer.post(
        "/api/orders",
        json={"items": [{"product_id": product["id"], "quantity": 1}]},
        headers={"Idempotency-Key": unique("key"), "X-Request-ID": request_id},
    )
    assert placed.headers["x-request-id"] == request_id

    def services():
        done = subprocess.run(
            [KIRANA, "logs", "--request", request_id, "--json"],
            env={"KIRANA_HOME": str(stack.home), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        )
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return {"edge", "order", "catalog", "notification"} <= {line["service"]["name"] for line in lines}

    eventually(services)
