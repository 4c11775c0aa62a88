"""kill -9 of each process in turn, under a trickle of orders: nothing acknowledged is lost, nothing is doubled."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kombu import Connection

from tests.builders.opening import opened, ready
from tests.builders.processes import pid_of, pids
from tests.builders.shop import Client, a_customer, a_product, an_admin
from tests.builders.waiting import eventually
from tests.chaos.trickle import Trickle

pytestmark = pytest.mark.takes(130)

KIRANA = Path(sys.executable).parent / "kirana"
SERVICES = ["identity-1", "catalog-1", "cart-1", "order-1", "notification-1", "edge"]
SERVERS = ["postgres", "rabbitmq", "redis-carts", "redis-edge", "consul", "mail-sink"]
LONGEST_ANSWER_SECONDS = 8
"""The deadline of a request is five, and a busy machine is late."""

HONEST = {201, 404, 409, 429, 503, 504}


def back_with_another_pid(stack, name, before):
    return pids(stack).get(name, 0) not in {0, before}


def audit(stack, history):
    return subprocess.run(
        [KIRANA, "audit", "--acknowledged", str(history)],
        env={"KIRANA_HOME": str(stack.home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def product(stack):
    with an_admin(opened(stack)) as admin:
        return a_product(admin, stock=100_000)


@pytest.mark.parametrize("name", SERVICES + SERVERS)
def test_a_killed_process_comes_back_and_no_order_is_lost_or_doubled(stack, product, tmp_path, name):
    victim = pid_of(stack, name)

    with Trickle(stack, product["id"]).running() as trickle:
        eventually(lambda: len(trickle.acknowledged) >= 3, within=90)
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: back_with_another_pid(stack, name, victim), within=90)
        eventually(lambda: ready(stack), within=90)
        count = len(trickle.acknowledged)
        eventually(lambda: len(trickle.acknowledged) >= count + 3, within=90)

    assert not trickle.unanswered
    assert set(trickle.statuses) <= HONEST, trickle.statuses
    checked = audit(stack, trickle.write(tmp_path / "acknowledged.jsonl"))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_while_the_broker_restarts_the_edge_says_503_and_then_recovers_within_ten_seconds(stack, product):
    victim = pid_of(stack, "rabbitmq")
    refused, slowest = [], 0.0

    os.kill(victim, signal.SIGTERM)
    with Client(stack) as client:
        path = "/api/cart"  # product pages would keep coming, stale
        eventually(lambda: client.get(path).status_code == 503, within=90)
        back = None
        while not back:
            start = time.monotonic()
            answer = client.get(path)
            slowest = max(slowest, time.monotonic() - start)
            if answer.status_code == 503:
                refused.append(answer)
            back = broker_listens(stack)
        up = time.monotonic()
        eventually(lambda: client.get(path).status_code == 200, within=10)
        print(f"recovered {time.monotonic() - up:.1f} s after the broker listened; slowest answer {slowest:.2f} s")

    assert refused
    assert {answer.json()["code"] for answer in refused} <= {"service.unavailable", "deadline.passed"}
    assert all("retry-after" in answer.headers for answer in refused)
    assert slowest < LONGEST_ANSWER_SECONDS


def broker_listens(stack):
    try:
        with Connection(stack.amqp, connect_timeout=1) as connection:
            connection.connect()
    except OSError:
        return False
    return True


def test_sigterm_during_orders_loses_none_and_doubles_none(stack, product, tmp_path):
    with Trickle(stack, product["id"], customers=4).running() as trickle:
        for name in ("order-1", "catalog-1"):
            eventually(lambda: len(trickle.acknowledged) >= 3, within=90)
            victim = pid_of(stack, name)
            os.kill(victim, signal.SIGTERM)
            eventually(lambda v=victim, n=name: back_with_another_pid(stack, n, v), within=90)
            eventually(lambda: ready(stack), within=90)

    assert not trickle.unanswered
    checked = audit(stack, trickle.write(tmp_path / "acknowledged.jsonl"))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_customer_can_order_after_all_of_that(stack, product):
    with a_customer(stack) as customer:
        assert customer.ordering((product["id"], 1)).status_code == 201
