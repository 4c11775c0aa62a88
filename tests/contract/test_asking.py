"""What we send to another service, byte for byte, and what becomes of its replies."""

from __future__ import annotations

import json
import time

import amqp
import pytest

from shared.contracts.catalog import OutOfStock
from tests.builders.waiting import eventually


@pytest.fixture
def nobody(caller):
    """A service played by the test."""
    channel = caller.connection.channel()
    channel.queue_declare("rpc-nobody", durable=True, auto_delete=False)
    channel.queue_bind("rpc-nobody", "nameko-rpc", "nobody.*")
    yield channel
    channel.queue_delete("rpc-nobody")


def _answer(channel, asked: amqp.Message, body: dict[str, object]) -> None:
    message = amqp.Message(
        json.dumps(body), content_type="application/json", correlation_id=asked.properties["correlation_id"]
    )
    channel.basic_publish(message, "nameko-rpc", asked.properties["reply_to"])


def _take(channel) -> amqp.Message:
    return eventually(lambda: channel.basic_get("rpc-nobody", no_ack=True), what="the request")


def test_a_request_is_namekos_with_the_context_of_the_call_and_what_is_left_of_its_deadline(caller, nobody):
    deadline = int((time.time() + 3) * 1000)
    headers = {
        "nameko.request_id": "request-5",
        "nameko.deadline": deadline,
        "nameko.user_id": "user-5",
        "nameko.traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "nameko.call_id_stack": ["edge.route.request-5"],
    }
    asked = caller.ask("demo.ask", service="nobody", text="hallo", headers=headers)

    request = _take(nobody)

    assert request.delivery_info["routing_key"] == "nobody.shout"
    assert json.loads(request.body) == {"args": [], "kwargs": {"text": "hallo", "times": 1}}
    sent = request.headers
    assert {name: sent[name] for name in headers if name != "nameko.call_id_stack"} == {
        name: headers[name] for name in headers if name != "nameko.call_id_stack"
    }
    assert sent["nameko.call_id_stack"][0] == "edge.route.request-5"
    assert sent["nameko.call_id_stack"][1].startswith("demo.ask.")
    assert "nameko.operation_id" not in sent
    assert 0 < int(request.properties["expiration"]) <= 3000
    assert request.properties["content_type"] == "application/json"
    answer = {"text": "HALLO", "user_id": None, "request_id": "", "call_id_stack": [], "more": "is tolerated"}
    _answer(nobody, request, {"result": answer, "error": None})
    assert caller.wait(asked).result["text"] == "HALLO"


def test_a_refusal_of_the_other_service_passes_through_with_its_details(caller, nobody):
    asked = caller.ask("demo.ask", service="nobody", text="x")

    error = OutOfStock(shortages=[{"product_id": 1}]).to_wire()
    _answer(nobody, _take(nobody), {"result": None, "error": error})

    assert caller.wait(asked).body["error"] == error


@pytest.mark.parametrize(
    "body",
    [
        {"result": 5, "error": None},
        {"nothing": 1},
        [],
        {"result": None, "error": {"exc_type": "ValueError", "exc_path": "x", "exc_args": [], "value": "secret"}},
        {"result": None, "error": {"exc_path": "kirana.x", "exc_args": "no list"}},
        {"result": None, "error": "text"},
    ],
)
def test_a_reply_that_makes_no_sense_is_internal(caller, nobody, body):
    asked = caller.ask("demo.ask", service="nobody", text="x")

    _answer(nobody, _take(nobody), body)

    reply = caller.wait(asked)
    assert reply.code == "internal"
    assert "secret" not in str(reply.body)


def test_no_time_left_is_said_without_asking(caller, nobody):
    asked = caller.ask("demo.ask", service="nobody", text="x", headers={"nameko.deadline": 1})

    assert caller.wait(asked).code == "deadline.passed"
    assert nobody.basic_get("rpc-nobody") is None
