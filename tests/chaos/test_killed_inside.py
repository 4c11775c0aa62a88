"""A process dies inside a change that has a key, and the client repeats it: it is done once, and answered as then.

``KIRANA_CHAOS_SEED`` repeats the moments of an earlier run.
"""

import json
import os
import signal
import threading
import time
from contextlib import contextmanager

import httpx
import pytest

from tests.builders.lots import lots
from tests.builders.opening import opened
from tests.builders.processes import pid_of, pids
from tests.builders.shop import PASSWORD, Client, a_customer, a_product, an_admin, logged_in, registered, unique
from tests.builders.waiting import eventually

pytestmark = pytest.mark.takes(60)

LATEST_KILL = 0.06
"""Seconds after sending: a change takes some tens of milliseconds, so that any step of it may be the last."""

NOT_YET = {409, 429, 503, 504}
"""It has not happened, or nobody knows, or the first try still runs: to be repeated with the same key."""


@contextmanager
def killed(stack, name):
    """Somewhere inside the block the process is killed; after it, it has been."""
    victim = pid_of(stack, name)
    timer = threading.Timer(lots().uniform(0, LATEST_KILL), os.kill, (victim, signal.SIGKILL))
    timer.start()
    try:
        yield
    finally:
        timer.join()
        eventually(lambda: pids(stack).get(name, 0) not in {0, victim}, within=60, what=f"another {name}")


def repeated(send):
    """The answer, however often the request has to be sent for it."""
    give_up_at = time.monotonic() + 90
    while True:
        try:
            answer = send()
        except httpx.TransportError:
            answer = None
        if answer is not None and answer.status_code not in NOT_YET:
            return answer
        assert time.monotonic() < give_up_at, answer.text if answer else "no answer"
        time.sleep(0.2)


@pytest.mark.parametrize("name", ["edge", "redis-edge", "catalog-1", "postgres"])
def test_a_product_is_put_on_sale_once(stack, name):
    with an_admin(opened(stack)) as admin:
        category = admin.get("/api/categories").json()[0]["id"]
        body = {"name": unique("Once "), "description": "", "price": "1.00", "category_id": category, "stock": 1}
        body["sku"] = unique("sku")
        key = {"Idempotency-Key": unique("key")}

        with killed(stack, name):
            answer = repeated(lambda: admin.post("/api/products", json=body, headers=key))
        again = repeated(lambda: admin.post("/api/products", json=body, headers=key))
        other = repeated_sku(admin, body)

    assert (answer.status_code, again.status_code) == (201, 201), answer.text
    assert again.content == answer.content
    assert again.headers["idempotency-replayed"] == "true"
    assert other.json()["code"] == "catalog.sku_taken"


def repeated_sku(admin, body):
    """Its sku is taken: by the product that was made, and by no second try of it."""

    def send():
        answer = admin.post("/api/products", json=body)
        return answer if answer.status_code == 201 or answer.json()["code"] == "catalog.sku_taken" else None

    return eventually(send, within=60, every=0.5, what="the taken sku")


def test_a_password_is_changed_once_and_only_the_new_one_opens(stack):
    user = registered(opened(stack))
    token = logged_in(stack, user)["access"]
    body = {"current_password": PASSWORD, "password": "another horse battery", "password2": "another horse battery"}
    key = {"Idempotency-Key": unique("key")}

    with Client(stack, token=token) as client, killed(stack, "identity-1"):
        answer = repeated(lambda: client.post("/api/users/me/password", json=body, headers=key))
    with Client(stack) as anybody:
        names = {"username": user["username"]}
        new = repeated(lambda: anybody.post("/api/token", json=names | {"password": body["password"]}))
        old = repeated(lambda: anybody.post("/api/token", json=names | {"password": PASSWORD}))

    assert answer.status_code == 204, answer.text
    assert (new.status_code, old.status_code) == (200, 401)


@pytest.mark.parametrize("name", ["order-1", "cart-1", "catalog-1"])
def test_a_cart_is_ordered_once(stack, name):
    with an_admin(opened(stack)) as admin:
        product = a_product(admin, stock=10)
    with a_customer(stack) as customer:
        added = customer.post("/api/cart/items", json={"product_id": product["id"], "quantity": 2})
        assert added.status_code in {200, 201}, added.text
        key = unique("key")

        with killed(stack, name):
            answer = repeated_checkout(customer, key)
        again = repeated_checkout(customer, key)
        orders = repeated(lambda: customer.get("/api/orders")).json()
        left = eventually(lambda: stock_of(stack, product) == 8, within=60, what="the stock less one order's")

    assert answer.status_code == again.status_code == 201, answer.text
    assert again.json()["id"] == answer.json()["id"]
    assert [order["id"] for order in orders] == [answer.json()["id"]]
    assert left


def repeated_checkout(customer, key):
    """Refusals of the shop end it, whatever their status; what may yet become an answer does not."""

    def send():
        answer = customer.checkout(key=key)
        return answer if answer.status_code == 201 or not json.loads(answer.text).get("retryable") else None

    return eventually(send, within=90, every=0.2, what="an answer", despite=(httpx.TransportError,))


def stock_of(stack, product):
    with Client(stack) as client:
        answer = client.get(f"/api/products/{product['id']}", headers={"Cache-Control": "no-cache"})
    return answer.json()["stock"] if answer.status_code == 200 else None
