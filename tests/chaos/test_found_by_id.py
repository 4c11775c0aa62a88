"""Whatever way a request fails, its id alone finds the reason, in the first lines that one command shows."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import psycopg2
import pytest
from amqp import Message
from kombu import Connection
from typer.testing import CliRunner

from kirana.cli import build_app
from tests.builders.opening import opened, ready
from tests.builders.processes import pid_of, pids
from tests.builders.shop import Client, a_customer, a_product, an_admin, unique
from tests.builders.waiting import eventually

APP = build_app()
JSON = {"content_type": "application/json", "content_encoding": "utf-8"}
FIRST_LINES = 6
"""What is read at one glance: outcome, reason, place."""


def told(stack, *arguments, stdin=None):
    """What ``kirana logs`` shows, as soon as it knows the request."""

    def look():
        done = CliRunner().invoke(APP, ["logs", *arguments], env={"KIRANA_HOME": str(stack.home)}, input=stdin)
        return done.stdout if done.exit_code == 0 else None

    return eventually(look, what=f"a line of {arguments}")


def glance(stack, id_, *, until):
    """The first lines, once ``until`` stands in them: events and late runs end after their request."""

    def look():
        first = told(stack, id_).splitlines()[:FIRST_LINES]
        return first if any(until in line for line in first) else None

    return "\n".join(eventually(look, within=60, what=f"{until!r} in the first lines of {id_}"))


@contextmanager
def frozen(pid):
    """A process that has stopped working, but not ended: its connections stay open."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # it was killed meanwhile
            os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def product(stack):
    with an_admin(opened(stack)) as admin:
        return a_product(admin, stock=1000)


def test_a_request_without_a_good_token(stack):
    with Client(stack) as client:
        missing = client.get("/api/orders")
        forged = client.get("/api/orders", headers={"Authorization": "Bearer a.b.c"})

    assert "refused  401 auth.required" in glance(stack, missing.headers["x-request-id"], until="needs an access token")
    assert "401 auth.required" in told(stack, "-", stdin=missing.text)
    assert "auth.invalid_token" in glance(stack, forged.headers["x-request-id"], until="not valid")


def test_a_database_that_keeps_a_call_waiting(stack, product):
    with psycopg2.connect(stack.postgres["catalog"]) as connection, a_customer(stack) as customer:
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE stock IN ACCESS EXCLUSIVE MODE")
        answer = customer.ordering((product["id"], 1))
        connection.rollback()

    assert answer.status_code in {503, 504}
    first = glance(stack, answer.headers["x-request-id"], until="canceling statement due to")
    assert "catalog.reserve_stock" in first
    assert "catalog-1" in first


def test_a_service_that_does_not_answer_and_the_breaker_that_opens_for_it_and_its_death(stack, product):
    victim = pid_of(stack, "cart-1")
    with a_customer(stack) as customer:
        with frozen(victim):
            with ThreadPoolExecutor(24) as several:
                silent = list(several.map(lambda _: customer.get("/api/cart"), range(24)))
            stopped = eventually(lambda: breaker_says_no(customer), within=60, what="an open breaker")
            killed = ThreadPoolExecutor(1).submit(customer.get, "/api/cart")
            os.kill(victim, signal.SIGKILL)
        killed.result()

    unanswered = next(each for each in silent if each.elapsed.total_seconds() > 1)
    assert "cart.get_cart" in glance(stack, unanswered.headers["x-request-id"], until="deadline")
    first = glance(stack, stopped, until="the breaker is open")
    assert "cart.get_cart" in first
    everything = told(stack, stopped)
    assert "rpc.breaker.changed" in everything
    eventually(lambda: pids(stack).get("cart-1", 0) not in {0, victim} and ready(stack), within=60)


def breaker_says_no(customer):
    answer = customer.get("/api/cart")
    is_quick = answer.status_code == 503 and answer.elapsed.total_seconds() < 0.5
    return answer.headers["x-request-id"] if is_quick else None


def test_a_message_that_nobody_can_read(stack):
    event, call = unique("event"), unique("call")
    with Connection(stack.amqp) as connection:
        channel = connection.channel()
        odd = Message(b'{"event_id": 1}', application_headers={"nameko.request_id": event}, **JSON)
        channel.basic_publish(odd, exchange="order.events", routing_key="order.placed")
        odd = Message(b"[1]", reply_to="nobody", application_headers={"nameko.request_id": call}, **JSON)
        channel.basic_publish(odd, exchange="nameko-rpc", routing_key="order.get_order")

    assert "event order.placed" in glance(stack, event, until="not this event")
    assert "order.get_order" in glance(stack, call, until="the body is no object")
    assert "kirana events parked" in told(stack, call)


def test_a_broker_that_is_away(stack, product):
    victim = pid_of(stack, "rabbitmq")
    os.kill(victim, signal.SIGKILL)
    with Client(stack) as client:
        refused = eventually(
            lambda: next((seen for seen in [client.get("/api/cart")] if seen.status_code in {503, 504}), None)
        )

    first = glance(stack, refused.headers["x-request-id"], until="cart.get_cart")
    assert "failed  50" in first
    eventually(lambda: pids(stack).get("rabbitmq", 0) not in {0, victim} and ready(stack), within=90)
    assert "503" in told(stack, "--errors")
