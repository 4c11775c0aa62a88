"""Races in which a server forgets or a message comes twice: cancellations, merges, carts, events."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from time import sleep

import psycopg2
import pytest
import redis
from amqp import Message
from kombu import Connection

from tests.builders.lots import lots
from tests.builders.shop import Client, a_customer, a_product, an_admin, devices, ordered, settled, unique
from tests.builders.waiting import eventually

JSON = {"content_type": "application/json", "content_encoding": "utf-8", "delivery_mode": 2}


@pytest.fixture
def product(stack):
    with an_admin(stack) as admin:
        return a_product(admin, stock=100)["id"]


@pytest.fixture
def customer(stack):
    with a_customer(stack) as client:
        yield client


def stock_of(stack, product_id):
    with Client(stack) as client:
        return settled(lambda: client.get(f"/api/products/{product_id}")).json()["stock"]


def events_of(stack, order_id):
    """The envelopes of the order's events, as the relay sent them."""
    with closing(psycopg2.connect(stack.postgres["order"])) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT type, json_build_object('event_id', event_id, 'type', type, 'version', version, 'occurred_at',"
            " to_char(occurred_at, 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), 'aggregate_id', aggregate_id, 'sequence',"
            " sequence, 'request_id', request_id, 'data', data) FROM outbox WHERE aggregate_id = %s ORDER BY id",
            (order_id,),
        )
        return cursor.fetchall()


def mails_of(stack, order):
    texts = [json.loads(path.read_text()) for path in stack.mail.rglob("*.json")]
    return Counter("cancel" in mail["subject"].lower() for mail in texts if order["number"] in mail["subject"])


def test_of_twenty_cancellations_at_once_one_cancels_and_the_stock_comes_back_once(stack, product):
    with devices(stack, 20) as clients:
        order = ordered(clients[0], (product, 3)).json()

        def cancel(client):
            key = {"Idempotency-Key": unique("key")}
            return settled(lambda: client.post(f"/api/orders/{order['id']}/cancel", headers=key))

        with ThreadPoolExecutor(20) as pool:
            answers = Counter(answer.status_code for answer in pool.map(cancel, clients))

    assert answers == {200: 1, 409: 19}
    assert eventually(lambda: stock_of(stack, product) == 100, what="the stock's return")


def test_of_twenty_merges_of_a_guest_cart_at_once_the_cart_holds_it_once(stack, product):
    with Client(stack) as guest:
        body = {"product_id": product, "quantity": 2}
        token = settled(lambda: guest.post("/api/cart/items", json=body)).headers["x-cart-token"]
    with devices(stack, 20) as clients:
        with ThreadPoolExecutor(20) as pool:
            answers = Counter(
                client_answer.status_code
                for client_answer in pool.map(lambda c: c.post("/api/cart/merge", json={"cart_token": token}), clients)
            )
        again = settled(lambda: clients[0].post("/api/cart/merge", json={"cart_token": token}))
        items = settled(lambda: clients[0].get("/api/cart")).json()["items"]

    assert answers.keys() <= {200, 503, 504}, answers  # a busy machine may not answer all in time, and must say so
    assert again.status_code == 200
    assert [(item["product_id"], item["quantity"]) for item in items] == [(product, 2)]


def test_carts_survive_a_redis_that_forgets_everything_between_any_two_steps(stack, customer, product):
    def forget():
        for url in stack.redis_carts:
            with redis.Redis.from_url(url) as server:
                for key in server.scan_iter("cart:*"):
                    server.delete(key)

    def add(key):
        body, headers = {"product_id": product, "quantity": 1}, {"Idempotency-Key": key}
        return settled(lambda: customer.post("/api/cart/items", json=body, headers=headers)).json()

    key = unique("key")
    add(key)
    forget()
    add(key)
    forget()
    version = add(unique("key"))["version"]
    forget()
    order = settled(lambda: customer.checkout(key=key)).json()
    forget()

    assert (version, [item["quantity"] for item in order["items"]]) == (2, [2])
    assert eventually(
        lambda: settled(lambda: customer.get("/api/cart")).json()["items"] == [], what="the ordered items' leaving"
    )


def put_in(client, product, quantity):
    body, key = {"product_id": product, "quantity": quantity}, {"Idempotency-Key": unique("key")}
    return settled(lambda: client.post("/api/cart/items", json=body, headers=key))


def order_the_cart(client):
    key = unique("key")
    return settled(lambda: client.checkout(key=key))


def test_two_windows_that_fill_and_order_one_cart_at_once_order_each_thing_once(stack, product):
    lot = lots()
    with an_admin(stack) as admin:
        another = a_product(admin)["id"]
    for _ in range(8):
        with devices(stack, 2) as (first, second), ThreadPoolExecutor(2) as pool:
            put_in(first, product, 5)
            ordering = pool.submit(order_the_cart, first)
            sleep(lot.uniform(0, 0.02))
            put_in(second, another, 1)
            answers = [order_the_cart(second), ordering.result()]
            order_the_cart(first)  # what a refused window left in it
            orders = settled(partial(first.get, "/api/orders")).json()

        bought = Counter()
        for order in orders:
            bought.update({item["product"]["id"]: item["quantity"] for item in order["items"]})
        assert bought == {product: 5, another: 1}, [answer.text for answer in answers]


def test_events_that_come_again_and_backwards_change_nothing(stack, customer, product):
    order = ordered(customer, (product, 2)).json()
    eventually(lambda: mails_of(stack, order) == {False: 1}, what="the confirmation, for a cancelled order gets none")
    key = {"Idempotency-Key": unique("key")}
    settled(lambda: customer.post(f"/api/orders/{order['id']}/cancel", headers=key))
    once = {False: 1, True: 1}
    eventually(lambda: mails_of(stack, order) == once and stock_of(stack, product) == 100, what="both mails")

    with Connection(stack.amqp) as connection:
        channel = connection.channel()
        for event_type, envelope in [*reversed(events_of(stack, order["id"]))] * 5:
            channel.basic_publish(Message(json.dumps(envelope), **JSON), "order.events", event_type)
    after = ordered(customer, (product, 1)).json()

    eventually(lambda: mails_of(stack, after) == {False: 1}, what="the mail of a later order")
    assert mails_of(stack, order) == once
    eventually(lambda: stock_of(stack, product) == 99, what="the stock that only the later order took of")
