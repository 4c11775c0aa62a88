"""A broker that stops for a moment: what a client gave a key is tried again for it, and has one effect."""

import os
import signal
import time
from contextlib import closing
from threading import Timer

import psycopg2
import pytest

from edge.rpc.link import CONFIRM_SECONDS
from tests.builders.processes import pid_of
from tests.builders.shop import a_customer, a_product, an_admin, settled, unique

pytestmark = pytest.mark.takes(15)

PAUSE_SECONDS = 1.5
"""Longer than a confirm is waited for (1 s), and less than what ends the link (2 s)."""

SCENES = 5
"""On a busy machine the pause may become longer than it was meant, and nobody knows: another scene, then."""


def orders_with(stack, product_id):
    with closing(psycopg2.connect(stack.postgres["order"])) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM order_items WHERE product_id = %s", (product_id,))
        return cursor.fetchone()[0]


def test_an_order_with_a_key_outlives_a_broker_that_stops_for_a_moment(stack):
    broker, outlived, keys = pid_of(stack, "rabbitmq"), [], []

    with an_admin(stack) as admin, a_customer(stack) as customer:
        product = a_product(admin, stock=100)["id"]
        while not outlived and len(keys) < SCENES:
            keys.append(unique("key"))
            os.kill(broker, signal.SIGSTOP)
            going_on = Timer(PAUSE_SECONDS, os.kill, (broker, signal.SIGCONT))
            going_on.start()
            began = time.monotonic()
            answer = customer.ordering((product, 1), key=keys[-1])
            took = time.monotonic() - began
            going_on.join()
            if answer.status_code == 201 and took > CONFIRM_SECONDS:
                outlived.append(answer)
        ids = {settled(lambda k=key: customer.ordering((product, 1), key=k)).json()["id"] for key in keys}

    assert outlived
    assert len(ids) == len(keys) == orders_with(stack, product)
