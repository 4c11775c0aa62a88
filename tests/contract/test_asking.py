"""What we send to another service, byte for byte, and what becomes of its replies."""

from __future__ import annotations

import json
import time
import uuid

import pytest

from shared.contracts.catalog import OutOfStock
from tests.contract.kirana_demo import NEWS_SECONDS
from tests.contract.played import Played, calls_of, echoed

NOT_FOUND = {"exc_type": "MethodNotFound", "exc_path": "nameko.exceptions.MethodNotFound", "exc_args": [], "value": ""}

SECONDS_LEFT = 15

AT_ONCE = 20
"""More than the ten that Nameko prefetches by itself, fewer than there are workers."""

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def played(caller):
    """A service that nobody has called before."""
    played = Played(caller.connection.channel(), f"played-{uuid.uuid4().hex[:8]}")
    yield played
    played.leave()


@pytest.fixture
def headers():
    return {
        "nameko.request_id": "request-5",
        "nameko.deadline": int((time.time() + SECONDS_LEFT) * 1000),
        "nameko.user_id": "user-5",
        "nameko.traceparent": TRACEPARENT,
        "nameko.call_id_stack": ["edge.route.request-5"],
    }


def _without_what_varies(context):
    """The call is of the same trace, caused by the span of the service that asks, and left since that was asked."""
    stack, sent_at, traceparent = context.pop("call_id_stack"), context.pop("sent_at"), context.pop("traceparent")
    assert traceparent[:36] == TRACEPARENT[:36]
    assert traceparent[36:52] != TRACEPARENT[36:52]
    assert stack[0] == "edge.route.request-5"
    assert stack[1].startswith("demo.ask.")
    asked_at = context["deadline"] - SECONDS_LEFT * 1000
    assert asked_at - 1 <= sent_at <= time.time() * 1000
    return context


def test_a_call_travels_in_a_frame_with_its_context_and_what_is_left_of_its_deadline(caller, played, headers):
    asked = caller.ask("demo.ask", service=played.name, text="hallo", headers=headers)

    frame = played.take()

    assert frame.delivery_info["routing_key"] == f"{played.name}.batch"
    assert frame.properties["content_type"] == "application/json"
    assert frame.properties["delivery_mode"] == 1
    assert 0 < int(frame.properties["expiration"]) <= (SECONDS_LEFT - 2 * NEWS_SECONDS) * 1000
    assert frame.headers == {"kirana-return-to": frame.properties["reply_to"]}
    (call,) = calls_of(frame)
    assert (call["method"], call["kwargs"]) == ("shout", {"text": "hallo", "times": 1})
    assert _without_what_varies(call["context"]) == {
        "request_id": "request-5",
        "deadline": headers["nameko.deadline"],
        "user_id": "user-5",
    }
    result = {**echoed("HALLO"), "more": "is tolerated"}
    played.answer_calls(frame, {"id": call["id"], "result": result, "error": None})
    assert caller.wait(asked).result["text"] == "HALLO"


def test_to_a_service_that_knows_no_frames_a_request_is_namekos(caller, played, headers):
    asked = caller.ask("demo.ask", service=played.name, text="hallo", headers=headers)
    played.answer(played.take(), {"result": None, "error": NOT_FOUND})

    request = played.take()

    assert request.delivery_info["routing_key"] == f"{played.name}.shout"
    assert json.loads(request.body) == {"args": [], "kwargs": {"text": "hallo", "times": 1}}
    assert "type" not in request.properties
    assert request.headers.pop("kirana-return-to") == request.properties["reply_to"]
    assert _without_what_varies({name.removeprefix("nameko."): value for name, value in request.headers.items()}) == {
        "request_id": "request-5",
        "deadline": headers["nameko.deadline"],
        "user_id": "user-5",
    }
    played.answer(request, {"result": echoed("HALLO"), "error": None})
    assert caller.wait(asked).result["text"] == "HALLO"

    again = caller.ask("demo.ask", service=played.name, text="again")
    request = played.take()
    assert request.delivery_info["routing_key"] == f"{played.name}.shout"
    played.answer(request, {"result": echoed("AGAIN"), "error": None})
    assert caller.wait(again).result["text"] == "AGAIN"


def test_a_refusal_of_the_other_service_passes_through_with_its_details(caller, played):
    asked = caller.ask("demo.ask", service=played.name, text="x")

    error = OutOfStock(shortages=[{"product_id": 1}]).to_wire()
    frame = played.take()
    played.answer_calls(frame, {"id": calls_of(frame)[0]["id"], "result": None, "error": error})

    assert caller.wait(asked).body["error"] == error


@pytest.mark.parametrize(
    "body",
    [
        {"result": 5, "error": None},
        {"result": None, "error": {"exc_type": "ValueError", "exc_path": "x", "exc_args": [], "value": "secret"}},
        {"result": None, "error": {"exc_path": "kirana.x", "exc_args": "no list"}},
        {"result": None, "error": "text"},
    ],
)
def test_an_answer_that_makes_no_sense_is_internal(caller, played, body):
    asked = caller.ask("demo.ask", service=played.name, text="x")

    frame = played.take()
    played.answer_calls(frame, {"id": calls_of(frame)[0]["id"], **body})

    reply = caller.wait(asked)
    assert reply.code == "internal"
    assert "secret" not in str(reply.body)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"nothing": 1}, "internal"),
        ([], "internal"),
        ({"result": None, "error": {"exc_type": "MalformedRequest", "value": "secret"}}, "internal"),
        ({"result": echoed("x"), "error": None}, "outcome.unknown"),
    ],
)
def test_an_answer_to_a_frame_as_a_whole_is_never_taken_for_that_of_a_call(caller, played, body, code):
    asked = caller.ask("demo.ask", service=played.name, text="x")

    played.answer(played.take(), body)

    reply = caller.wait(asked)
    assert reply.code == code
    assert "secret" not in str(reply.body)


def test_no_time_left_is_said_without_asking(caller, played):
    asked = caller.ask("demo.ask", service=played.name, text="x", headers={"nameko.deadline": 1})

    assert caller.wait(asked).code == "deadline.passed"
    assert played.is_idle()


def test_as_many_calls_are_begun_as_there_are_workers_before_any_of_them_has_ended(caller, played):
    asked = {text: caller.ask("demo.ask", service=played.name, text=text, patience=60.0) for text in _texts(AT_ONCE)}

    begun = []
    while sum(len(calls_of(frame)) for frame in begun) < AT_ONCE:
        begun.append(played.take())

    for frame in begun:
        _answer(played, frame)
    for text, correlation_id in asked.items():
        assert caller.wait(correlation_id).result["text"] == text


def test_however_often_it_asks_a_service_has_one_reply_queue(caller, played, rabbit):
    reply_to = {_asked_once(caller, played, "first")}
    queues = _queues(rabbit)

    reply_to |= {_asked_once(caller, played, text) for text in _texts(AT_ONCE)}

    assert len(reply_to) == 1
    assert _queues(rabbit) <= queues
    assert [name for name in queues if name.startswith("rpc.reply-demo-") and name.endswith(reply_to.pop())]


def _texts(number):
    """All different, for equal questions that meet are one call."""
    return [f"text {each}" for each in range(number)]


def _answer(played, frame):
    replies = [{"id": call["id"], "result": echoed(call["kwargs"]["text"]), "error": None} for call in calls_of(frame)]
    played.answer_calls(frame, *replies)


def _asked_once(caller, played, text):
    """Where the demo service wanted the answer."""
    asked = caller.ask("demo.ask", service=played.name, text=text)
    frame = played.take()
    _answer(played, frame)
    assert caller.wait(asked).result["text"] == text
    return frame.properties["reply_to"]


def _queues(rabbit):
    return set(rabbit.ctl("list_queues", "--vhost", "kirana", "--no-table-headers", "name").split())
