"""Fifty send one order under one key while the edge, its Redis, the carts' and the broker die: there is one order.

``KIRANA_CHAOS_SEED`` repeats the moments of an earlier run.
"""

import json
import os
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from tests.builders.lots import lots
from tests.builders.opening import opened
from tests.builders.processes import pid_of, pids
from tests.builders.shop import Client, a_product, an_admin, devices, settled, unique
from tests.builders.waiting import eventually
from tests.chaos.test_faults import audit
from tests.stack_fixture import kirana

pytestmark = pytest.mark.takes(90)

MANY = 50
VICTIMS = ("edge", "redis-edge", "redis-carts", "rabbitmq")
LATEST_KILL = 3.0
"""Seconds after the first is sent: fifty at once and their repetitions take as long, also without any fault."""

PATIENCE = 120.0
PAUSE = 0.3


@pytest.fixture(scope="module", autouse=True)
def _room(stack):
    """Who repeats an order as often as this is told 429 otherwise, and what would be seen of the faults is that."""
    done = kirana(stack.home, "config", "set", "limits", "order=100000/60")
    assert done.returncode == 0, done.stderr
    with an_admin(stack) as admin:
        eventually(lambda: admin.get("/admin/routes").json().get("origin") == "consul", what="the wider limit")
    yield
    done = kirana(stack.home, "routes", "withdraw")
    assert done.returncode == 0, done.stderr


@contextmanager
def dying(stack):
    """Within the block each victim is killed at a moment drawn by lot; after it, all have been and others run."""
    chance = lots()
    before = {name: pid_of(stack, name) for name in VICTIMS}
    timers = [
        threading.Timer(chance.uniform(0, LATEST_KILL), os.kill, (pid, signal.SIGKILL)) for pid in before.values()
    ]
    for timer in timers:
        timer.start()
    try:
        yield
    finally:
        for timer in timers:
            timer.join()
        for name, pid in before.items():
            eventually(lambda name=name, pid=pid: pids(stack).get(name, 0) not in {0, pid}, within=90, what=name)


def insisting(client, send):
    """All that one client is told, until it is told something for good; ``None`` where the connection broke."""
    give_up_at = time.monotonic() + PATIENCE
    told = []
    while time.monotonic() < give_up_at:
        try:
            told.append(send(client))
        except httpx.TransportError:
            told.append(None)
        else:
            if told[-1].is_success or not told[-1].json().get("retryable"):
                return told
        time.sleep(PAUSE)
    return told


def ordering(product):
    """An order of two of it, directly."""
    key = unique("key")
    return key, lambda client: client.ordering((product["id"], 2), key=key)


def checking_out(product):
    """The same out of the cart, which has to be filled first."""
    del product
    key = unique("key")
    return key, lambda client: client.checkout(key=key)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("way", [ordering, checking_out], ids=["ordered", "checked out"])
def test_of_fifty_at_once_in_the_worst_of_times_there_is_one_order(stack, way, tmp_path):
    with an_admin(opened(stack)) as admin:
        product = a_product(admin, stock=10)
    with devices(stack, MANY) as clients:
        body, filled = {"product_id": product["id"], "quantity": 2}, {"Idempotency-Key": unique("key")}
        assert settled(lambda: clients[0].post("/api/cart/items", json=body, headers=filled)).is_success
        key, send = way(product)

        with dying(stack), ThreadPoolExecutor(MANY) as pool:
            told = [answer for each in pool.map(lambda client: insisting(client, send), clients) for answer in each]
        opened(stack)
        last = settled(lambda: send(clients[0]), within=PATIENCE)
        orders = settled(lambda: clients[0].get("/api/orders")).json()

    print(Counter(answer.status_code if answer else "no answer" for answer in told))
    good = [answer for answer in told if answer and answer.is_success]
    assert last.status_code == 201, last.text
    assert {(answer.status_code, answer.content) for answer in good} == {(201, last.content)}
    assert [answer.text for answer in told if answer and not answer.is_success and not answer.json()["retryable"]] == []
    assert [order["id"] for order in orders] == [last.json()["id"]]
    assert eventually(lambda: stock_of(stack, product) == 8, what="the stock less one order's")
    history = tmp_path / "acknowledged.jsonl"
    history.write_text(json.dumps({"key": key, "order_id": last.json()["id"]}) + "\n")
    checked = audit(stack, history)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def stock_of(stack, product):
    with Client(stack) as client:
        answer = client.get(f"/api/products/{product['id']}", headers={"Cache-Control": "no-cache"})
    return answer.json()["stock"] if answer.status_code == 200 else None
