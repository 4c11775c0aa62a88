"""A notification service that hangs takes nothing from who buys: their letters come later."""

import json
import os
import signal
from statistics import median

import pytest

from tests.builders.processes import pids
from tests.builders.shop import a_customer, a_product, an_admin, ordered, settled, unique
from tests.builders.waiting import eventually

pytestmark = pytest.mark.takes(10)

ORDERS = 10
SLOW_SECONDS = 2.0
"""Who waited for notification would wait for its deadline of five."""


def test_orders_and_checkouts_go_on_while_notification_hangs(stack):
    with an_admin(stack) as admin, a_customer(stack) as customer:
        product = a_product(admin, stock=100)["id"]
        hanging = [pid for name, pid in pids(stack).items() if name.startswith("notification-") and pid]
        try:
            for pid in hanging:
                os.kill(pid, signal.SIGSTOP)
            answers = [ordered(customer, (product, 1)) for _ in range(ORDERS)] + [checked_out(customer, product)]
        finally:
            for pid in hanging:
                os.kill(pid, signal.SIGCONT)

    assert hanging
    assert {answer.status_code for answer in answers} == {201}
    assert median(answer.elapsed.total_seconds() for answer in answers) < SLOW_SECONDS
    numbers = [answer.json()["number"] for answer in answers]
    eventually(lambda: all(number in subjects(stack) for number in numbers), what="their letters")


def checked_out(customer, product):
    item, adding, key = {"product_id": product, "quantity": 1}, {"Idempotency-Key": unique("key")}, unique("key")
    settled(lambda: customer.post("/api/cart/items", json=item, headers=adding))
    return settled(lambda: customer.checkout(key=key))


def subjects(stack):
    return " ".join(json.loads(path.read_text())["subject"] for path in stack.mail.rglob("*.json"))
