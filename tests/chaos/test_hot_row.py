"""The stock of one product is locked for long: its buyers are told so honestly, others shop on, and it heals."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import psycopg2
import pytest

from tests.builders.shop import a_customer, a_product, an_admin, unique
from tests.builders.waiting import eventually

LOCKED_SECONDS = 8.0
SLOWEST_OTHER_SECONDS = 2.0
STARVED_SHARE = 0.1
"""So many of the others may suffer from a machine that stops for a while; the lock would stop nearly all of them."""

HONEST = {(503, "service.unavailable"), (503, "deadline.passed"), (504, "outcome.unknown")}


@contextmanager
def locked(stack, product_id):
    with closing(psycopg2.connect(stack.postgres["catalog"])) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM stock WHERE product_id = %s FOR UPDATE", (product_id,))
        yield
        connection.rollback()


@pytest.fixture
def products(stack):
    with an_admin(stack) as admin:
        return [a_product(admin, stock=1000)["id"] for _ in range(2)]


def sold(stack, product_id):
    with closing(psycopg2.connect(stack.postgres["catalog"])) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1000 - on_hand, reserved FROM stock WHERE product_id = %s", (product_id,))
        return cursor.fetchone()


def slow_share(answers):
    return sum(answer.elapsed.total_seconds() > SLOWEST_OTHER_SECONDS for answer in answers) / len(answers)


def test_a_locked_product_hurts_only_its_own_buyers_and_only_while_it_is_locked(stack, products):
    hot, cold = products
    keys = [unique("hot") for _ in range(6)]

    with ThreadPoolExecutor(len(keys)) as pool, a_customer(stack) as buyer, a_customer(stack) as other:
        with locked(stack, hot):
            start, others = time.monotonic(), []
            waiting = [pool.submit(buyer.ordering, (hot, 1), key=key) for key in keys]
            while time.monotonic() < start + LOCKED_SECONDS:
                others.append(other.ordering((cold, 1)))
            answers = [each.result() for each in waiting]
        again = [
            eventually(lambda k=key: (seen := buyer.ordering((hot, 1), key=k)).status_code == 201 and seen, within=60)
            for key in keys
        ]

    assert {(answer.status_code, answer.json()["code"]) for answer in answers} <= HONEST
    refused = [answer for answer in others if answer.status_code != 201]
    assert {(answer.status_code, answer.json()["code"]) for answer in refused} <= HONEST
    assert len(refused) <= len(others) * STARVED_SHARE, refused[0].text
    assert slow_share(others) <= STARVED_SHARE
    assert len({answer.json()["id"] for answer in again}) == len(keys)
    assert eventually(lambda: sold(stack, hot) == (len(keys), 0), what="one unit sold for each key")
