"""A malformed AMQP message hurts nobody: every service keeps its pid, and the message waits with its reason."""

import json
from contextlib import contextmanager

import pytest
from amqp import Message
from kombu import Connection

from tests.builders.processes import pids
from tests.builders.shop import Client
from tests.builders.waiting import eventually

SERVICES = ("identity", "catalog", "cart", "order", "notification")
BODY = b'{"args": [], "kwargs": {}}'
JSON = {"content_type": "application/json", "content_encoding": "utf-8"}

POISON = {
    "no usable reply_to": (BODY, {**JSON, "correlation_id": "1"}),
    "no content type": (BODY, {"reply_to": "nobody", "correlation_id": "1"}),
    "unknown content type": (BODY, {"reply_to": "nobody", "content_type": "application/x-python-serialize"}),
    "not JSON": (b"{not json", {**JSON, "reply_to": "nobody", "correlation_id": "1"}),
    "not UTF-8": (b"\xff\xfe", {**JSON, "reply_to": "nobody", "correlation_id": "1"}),
    "wrong arguments": (
        b'{"args": [1, 2, 3], "kwargs": {"x": 1}}',
        {**JSON, "reply_to": "nobody", "correlation_id": "1"},
    ),
    "not a call": (b"[1, 2]", {**JSON, "reply_to": "nobody", "correlation_id": "1"}),
    "integer call_id_stack": (BODY, {**JSON, "reply_to": "nobody", "application_headers": {"nameko.call_id_stack": 5}}),
    "odd headers": (BODY, {**JSON, "reply_to": "nobody", "application_headers": {"nameko.deadline": {"a": [1]}}}),
}


@contextmanager
def broker(stack):
    with Connection(stack.amqp) as connection:
        channel = connection.channel()
        yield channel
        channel.close()


def publish(channel, routing_key, body, properties):
    """As an intruder with rights on the broker would: straight, without any client library's care."""
    channel.basic_publish(Message(body, **properties), exchange="nameko-rpc", routing_key=routing_key)


def parked(stack, queue):
    with broker(stack) as channel:
        return channel.queue_declare(f"parking.{queue}", passive=True).message_count


@pytest.mark.parametrize("service", SERVICES)
def test_poison_is_parked_and_the_service_lives(stack, service):
    before, waiting = pids(stack), parked(stack, f"{service}.calls")

    with broker(stack) as channel:
        for body, properties in POISON.values():
            publish(channel, f"{service}.check_health", body, properties)

    eventually(lambda: parked(stack, f"{service}.calls") >= waiting + len(POISON) - 1)
    assert pids(stack) == before
    with Client(stack) as client:
        eventually(lambda: client.get("/health/ready").status_code == 200)


def test_what_is_parked_says_why(stack):
    with broker(stack) as channel:
        publish(channel, "order.check_health", *POISON["not JSON"])
    eventually(lambda: parked(stack, "order.calls"))

    reasons = set()
    with Connection(stack.amqp) as connection:
        channel = connection.channel()
        while message := channel.basic_get("parking.order.calls", no_ack=True):
            reasons.add(message.headers.get("x-parked-reason"))

    assert reasons
    assert all(reasons)


def test_a_poisonous_event_is_parked_too(stack):
    before, waiting = pids(stack), parked(stack, "notification")

    with broker(stack) as channel:
        for body in (b"{not json", b"[]", json.dumps({"event_id": 1}).encode()):
            channel.basic_publish(Message(body, **JSON), exchange="order.events", routing_key="order.placed")

    eventually(lambda: parked(stack, "notification") >= waiting + 3)
    assert pids(stack) == before
