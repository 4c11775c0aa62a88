"""Customers who look around, buy and cancel, repeat each step until it is answered, and note every lie."""

import json
import random
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.builders.shop import Client, logged_in, unique

PATIENCE_SECONDS = 90.0
PAUSE_SECONDS = 0.3
LONGEST_THOUGHT_SECONDS = 0.3
"""Nobody buys without looking: a shop that has nothing but its customers to attend to starts and mends nothing."""

SHARE_OF_CANCELLATIONS = 0.3
MOST_EXPLAINED = 5


class GaveUp(Exception):
    """A step was not answered for good in time, or the test is over."""


class Shoppers:
    """Each customer does one thing at a time, so what the shop answers can be compared with what was asked."""

    def __init__(self, stack, product_ids, *, customers, seed):
        self._stack = stack
        self._product_ids = product_ids
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._shop, args=(logged_in(stack)["access"], random.Random(f"{seed}/{number}")))
            for number in range(customers)
        ]
        self.acknowledged = []
        self.lies = []
        self.statuses = Counter()
        self.done = Counter()
        self.slowest = 0.0
        self._refused_ids = []

    @contextmanager
    def running(self):
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join(PATIENCE_SECONDS * 4)

    def refusals(self):
        """What the shop's processes wrote of the requests that it did not answer well, for whoever must know why."""
        spools = sorted(Path(self._stack.spool).glob("*.jsonl"))
        lines = (line for spool in spools for line in spool.read_text(encoding="utf-8").splitlines())
        return "\n".join(line for line in lines if any(each in line for each in self._refused_ids[:MOST_EXPLAINED]))

    def write(self, path):
        path.write_text("".join(json.dumps(each) + "\n" for each in self.acknowledged))
        return path

    def _shop(self, token, chance):
        with Client(self._stack, token=token) as client:
            while not self._stop.is_set():
                try:
                    self._look_around(client)
                    order = self._check_out(client, chance) if chance.random() < 0.5 else self._order(client, chance)
                    if chance.random() < SHARE_OF_CANCELLATIONS:
                        self._cancel(client, order)
                except GaveUp as fault:
                    self.lies.append(str(fault))
                self._stop.wait(chance.uniform(0, LONGEST_THOUGHT_SECONDS))

    def _look_around(self, client):
        """At what else the shop knows of oneself: so every service is asked in turn."""
        for path in ("/api/users/me", "/api/notifications"):
            self._until(client, 200, "GET", path)

    def _order(self, client, chance):
        lines = {product_id: chance.randint(1, 3) for product_id in chance.sample(self._product_ids, 2)}
        items = [{"product_id": product_id, "quantity": quantity} for product_id, quantity in lines.items()]
        return self._place(client, "/api/orders", {"items": items}, lines)

    def _check_out(self, client, chance):
        lines = {product_id: chance.randint(1, 3) for product_id in chance.sample(self._product_ids, 2)}
        for product_id, quantity in lines.items():
            self._until(client, 200, "POST", "/api/cart/items", {"product_id": product_id, "quantity": 1})
            self._until(client, 200, "PUT", f"/api/cart/items/{product_id}", {"quantity": quantity})
        order = self._place(client, "/api/cart/checkout", {}, lines)
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while self._until(client, 200, "GET", "/api/cart").json()["items"]:
            if time.monotonic() > give_up_at:
                raise GaveUp(f"the cart still holds what order {order['id']} took out of it")
            time.sleep(PAUSE_SECONDS)
        return order

    def _place(self, client, path, body, lines):
        key = unique("key")
        order = self._until(client, 201, "POST", path, body, key=key).json()
        self.acknowledged.append({"key": key, "order_id": order["id"]})
        got = {item["product"]["id"]: item["quantity"] for item in order["items"]}
        if got != lines:
            self.lies.append(f"{path} {key}: wanted {lines}, order {order['id']} has {got}")
        return order

    def _cancel(self, client, order):
        path = f"/api/orders/{order['id']}"
        self._until(client, 200, "POST", f"{path}/cancel", {})
        seen = self._until(client, 200, "GET", path).json()["status"]
        if seen != "cancelled":
            self.lies.append(f"{order['id']} was cancelled and is {seen}")

    def _until(self, client, status, method, path, body=None, *, key=None):  # noqa: PLR0913  # keyword collaborators
        """The same request, with the same key, until it is answered with ``status``."""
        key = key or unique("key")
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < give_up_at:
            answer = self._try(client, method, path, body, key)
            if answer is not None and answer.status_code == status:
                self.done[f"{method} {path.split('/')[2]}"] += 1
                return answer
            if answer is not None and not _may_be_repeated(answer):
                raise GaveUp(f"{method} {path} {key}: {answer.status_code} {answer.text[:300]}")
            time.sleep(PAUSE_SECONDS)
        raise GaveUp(f"{method} {path} {key}: no answer in {PATIENCE_SECONDS} s")

    def _try(self, client, method, path, body, key):  # one request
        start = time.monotonic()
        try:
            answer = client.request(method, path, json=body, headers={"Idempotency-Key": key})
        except httpx.HTTPError:
            self.statuses["edge away"] += 1
            return None
        self.slowest = max(self.slowest, time.monotonic() - start)
        is_problem = answer.status_code >= httpx.codes.BAD_REQUEST
        if is_problem:
            self._refused_ids.append(answer.headers["x-request-id"])
        self.statuses[f"{answer.status_code} {answer.json()['code']}" if is_problem else answer.status_code] += 1
        return answer


def _may_be_repeated(answer):
    return answer.status_code >= httpx.codes.BAD_REQUEST and answer.json().get("retryable")
