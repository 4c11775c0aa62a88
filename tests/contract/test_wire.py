"""The wire as stock Nameko has it: envelopes, errors, headers."""

from __future__ import annotations

import pytest

from tests.builders.waiting import eventually

PARKING = "parking.demo.calls"


def test_a_call_is_answered_in_namekos_envelope_and_transiently(caller):
    reply = caller.call("demo.echo", text="hallo", times=2, headers={"nameko.call_id_stack": ["standalone.a.b"]})

    assert set(reply.body) == {"result", "error"}
    assert reply.result["text"] == "hallohallo"
    assert reply.result["call_id_stack"][0] == "standalone.a.b"
    assert reply.result["call_id_stack"][1].startswith("demo.echo.")
    assert reply.properties["content_type"] == "application/json"
    assert reply.properties["content_encoding"] == "utf-8"
    assert reply.properties["delivery_mode"] == 1
    assert not reply.properties.get("application_headers")


def test_positional_arguments_are_the_fields_in_order(caller):
    assert caller.call("demo.echo", "ha", 3).result["text"] == "hahaha"


def test_the_context_of_the_call_reaches_the_method(caller):
    reply = caller.call("demo.echo", "x", headers={"nameko.request_id": "request-7", "nameko.user_id": "user-9"})

    assert (reply.result["request_id"], reply.result["user_id"]) == ("request-7", "user-9")


def test_an_insane_request_id_is_replaced(caller):
    reply = caller.call("demo.echo", "x", headers={"nameko.request_id": "a\nb"})

    assert reply.result["request_id"] != "a\nb"


@pytest.mark.parametrize(
    ("key", "body", "kind"),
    [
        ("demo.nothing", b'{"args": [], "kwargs": {}}', "MethodNotFound"),
        ("demo.echo", b'{"args": [], "kwargs": {}}', "IncorrectSignature"),
        ("demo.echo", b'{"args": [], "kwargs": {"text": "x", "colour": 1}}', "IncorrectSignature"),
        ("demo.echo", b'{"args": ["x", 1, 2], "kwargs": {}}', "IncorrectSignature"),
        ("demo.echo", b'{"args": ["x"], "kwargs": {"text": "x"}}', "IncorrectSignature"),
        ("demo.echo", b'{"args": []}', "MalformedRequest"),
        ("demo.echo", b"[]", "MalformedRequest"),
        ("demo.echo", b"null", "MalformedRequest"),
    ],
)
def test_wrong_arguments_get_namekos_own_error_and_a_parked_copy(caller, key, body, kind):
    caller.channel.queue_purge(PARKING)

    reply = caller.wait(caller.send(key, body))

    assert reply.body["result"] is None
    error = reply.body["error"]
    assert set(error) == {"exc_type", "exc_path", "exc_args", "value"}
    assert error["exc_type"] == kind
    assert error["exc_path"] == f"nameko.exceptions.{kind}"
    assert error["exc_args"] == [error["value"]]
    parked = eventually(lambda: caller.take(PARKING), what="the parked copy")
    assert parked.body == body
    assert parked.headers["x-parked-reason"]
    assert parked.headers["x-parked-from"] == "rpc-demo"


def test_wrong_values_are_refused_by_field_and_not_parked(caller):
    caller.channel.queue_purge(PARKING)

    reply = caller.call("demo.echo", text="x" * 101, times="two")

    assert reply.body["error"]["exc_type"] == "InvalidRequest"
    assert reply.body["error"]["exc_path"] == "kirana.request.invalid"
    code, sentence, details = reply.body["error"]["exc_args"]
    assert code == "request.invalid"
    assert sentence == reply.body["error"]["value"]
    assert {fault["pointer"] for fault in details["errors"]} == {"/text", "/times"}
    assert caller.depth(PARKING) == 0


@pytest.mark.parametrize("how", ["value error", "timeout", "exit", "unwritable", "write"])
def test_a_fault_inside_is_told_as_internal_without_its_text_and_leaks_no_worker(caller, how):
    replies = caller.wait_for_all([caller.ask("demo.break_it", how=how) for _ in range(45)])

    assert {reply.code for reply in replies} == {"internal"}
    assert not any("secret" in str(reply.body) or "things" in str(reply.body) for reply in replies)
    assert caller.call("demo.echo", "still here").result["text"] == "still here"


def test_who_wants_a_direct_reply_has_no_address_and_is_parked(caller):
    caller.channel.queue_purge(PARKING)
    caller.channel.basic_consume("amq.rabbitmq.reply-to", no_ack=True, callback=pytest.fail)
    body = b'{"args": ["x"], "kwargs": {}}'

    caller.send("demo.echo", body, reply_to="amq.rabbitmq.reply-to")

    parked = eventually(lambda: caller.take(PARKING), what="the parked call")
    assert parked.body == body
    assert parked.headers["x-parked-reason"] == "no usable reply_to"
    assert caller.call("demo.echo", "x").result["text"] == "x"
