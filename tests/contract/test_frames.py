"""Many calls in one message, byte for byte as ``docs/rpc.md`` says, and what each of them is promised."""

from __future__ import annotations

import json
import signal
import time
import uuid

import pytest

from shared.contracts.refusals import Internal
from tests.builders.lots import lots
from tests.builders.waiting import eventually
from tests.contract.caller import Caller
from tests.contract.conftest import is_well

pytestmark = pytest.mark.takes(20)

PARKING = "parking.demo.calls"
EXPIRING = "5000"


def a_call(call_id: str, method: str = "echo", *, context: dict | None = None, **kwargs) -> dict:
    return {
        "id": call_id,
        "method": method,
        "kwargs": kwargs,
        "context": {"request_id": f"r-{call_id}", **(context or {})},
    }


def test_each_call_of_a_frame_gets_its_own_answer_with_its_own_context(caller):
    calls = [a_call(str(n), text=f"word {n}", context={"user_id": f"u{n}"}) for n in range(20)]

    caller.send_frame("demo", calls)
    caller.listen_until(lambda: len(caller.replies) == 20)

    for n in range(20):
        result = caller.replies[str(n)].result
        assert (result["text"], result["user_id"], result["request_id"]) == (f"word {n}", f"u{n}", f"r-{n}")


def test_the_answers_have_the_layout_that_is_promised(caller):
    caller.send_frame("demo", [a_call("a", text="x"), a_call("b", "break_it", how="raise"), a_call("c", text=7)])
    caller.listen_until(lambda: len(caller.replies) == 3)

    properties = caller.replies["a"].properties
    assert properties["content_type"] == "application/json"
    assert properties["type"] == "kirana.replies"
    assert properties["delivery_mode"] == 1
    assert set(caller.replies["a"].body) == {"id", "result", "error"}
    assert caller.replies["b"].body == {"id": "b", "result": None, "error": Internal().to_wire()}
    assert caller.replies["c"].body["error"]["exc_args"][2] == {
        "errors": [{"pointer": "/text", "detail": "Expected 'str', got 'int'."}]
    }


def test_a_slow_call_holds_none_of_its_mates(caller):
    started = time.monotonic()
    calls = [a_call("slow", "sleep", seconds=6), *(a_call(str(n), text="quick") for n in range(10))]

    caller.send_frame("demo", calls)
    caller.listen_until(lambda: len(caller.replies) >= 10)

    assert time.monotonic() - started < 5
    caller.listen_until(lambda: "slow" in caller.replies)


def test_answers_that_are_ready_together_leave_together(caller):
    caller.send_frame("demo", [a_call(str(n), text="x") for n in range(30)])
    caller.listen_until(lambda: len(caller.replies) == 30)

    assert len(caller.frames) <= 3


def test_more_answers_than_fit_into_one_message_come_in_several(caller):
    caller.send_frame("demo", [a_call(str(n), text="x" * 100, times=400) for n in range(30)])
    caller.listen_until(lambda: len(caller.replies) == 30)

    assert 4 <= len(caller.frames) <= 12


def test_a_call_of_a_frame_whose_deadline_passed_is_not_begun_and_its_mates_are(caller, tmp_path):
    late = a_call("late", "sleep", seconds=0, journal=str(tmp_path / "j"), context={"deadline": 1})

    caller.send_frame("demo", [late, a_call("good", text="x")])
    caller.listen_until(lambda: len(caller.replies) == 2)

    assert caller.replies["late"].code == "deadline.passed"
    assert not (tmp_path / "j").exists()
    assert caller.replies["good"].result["text"] == "x"


def test_a_change_has_one_effect_and_one_answer_however_often_its_frame_comes(caller):
    name = f"framed {uuid.uuid4()}"
    context = {"operation_id": name, "operation_fingerprint": "f"}
    first = [a_call(f"first {n}", "add_thing", name=name, context=context) for n in range(3)]
    again = [a_call(f"again {n}", "add_thing", name=name, context=context) for n in range(3)]

    def all_are_answered() -> bool:
        """A first run that takes long outlasts the others' patience: then they ask again, as they are told to."""
        caller.listen_until(lambda: len(caller.replies) == 6)
        missing = [call for call in (*first, *again) if caller.replies[call["id"]].still_runs]
        if missing:
            for call in missing:
                del caller.replies[call["id"]]
            caller.send_frame("demo", missing)
        return not missing

    caller.send_frame("demo", first)
    caller.send_frame("demo", again)
    eventually(all_are_answered, what="six answers")

    assert len({reply.result["id"] for reply in caller.replies.values()}) == 1
    assert sum(not reply.body.get("replayed") for reply in caller.replies.values()) == 1
    assert caller.call("demo.count_things", name=name).result["things"] == 1


def test_a_caller_is_told_of_a_change_before_it_is_made_and_of_reads_never(caller):
    reads = caller.send_frame("demo", [a_call("read", text="x")])
    changes = caller.send_frame("demo", [a_call("change", "add_thing", name="announced", seconds=0.5)])

    caller.listen_until(lambda: changes in caller.taken)

    assert "change" not in caller.replies
    caller.listen_until(lambda: {"read", "change"} <= caller.replies.keys())
    assert reads not in caller.taken


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"[]",
        b'{"calls": []}',
        b'{"calls": [{"id": "1", "method": "echo"}]}',
        b'{"calls": [{"id": 1, "method": "echo", "kwargs": {}, "context": {}}]}',
        b'{"calls": [{"id": "1", "method": "echo", "kwargs": {}, "context": []}]}',
        b'{"args": [], "kwargs": {}}',
        json.dumps({"calls": [a_call(str(n), text="x") for n in range(1025)]}).encode(),
        json.dumps({"calls": [a_call("same", text="x")] * 2}).encode(),
        json.dumps({"calls": [a_call("x" * 129, text="x")]}).encode(),
        b'{"calls": ' + b"[" * 50_000,
    ],
    ids=[
        "empty",
        "text",
        "list",
        "no calls",
        "no kwargs",
        "number id",
        "list context",
        "a call",
        "too many",
        "same id",
        "long id",
        "deep",
    ],
)
def test_what_is_no_frame_is_parked_and_answered_and_harms_nobody(caller, body):
    caller.channel.queue_purge(PARKING)

    reply = caller.wait(caller.send("demo.batch", body, type="kirana.calls"))

    assert reply.body["error"]["exc_type"] == "MalformedRequest"
    parked = eventually(lambda: caller.take(PARKING), what="parking")
    assert parked.headers["x-parked-reason"].startswith(("not a frame of calls", "a frame "))
    assert caller.call("demo.echo", "well").result["text"] == "well"


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (a_call("bad", "no_such_method"), "MethodNotFound"),
        (a_call("bad", "on_thing_added"), "MethodNotFound"),
        (a_call("bad", "batch"), "MethodNotFound"),
        (a_call("bad", text="x", colour="red"), "IncorrectSignature"),
        (a_call("bad", text="x", context={"deadline": "soon"}), "MalformedRequest"),
        (a_call("bad", text="x", context={"call_id_stack": 7}), "MalformedRequest"),
        ({**a_call("bad"), "kwargs": [1]}, "IncorrectSignature"),
        ({**a_call("bad"), "kwargs": None}, "IncorrectSignature"),
    ],
    ids=["unknown", "handler", "batch", "signature", "deadline", "stack", "list", "null"],
)
def test_a_bad_call_in_a_frame_is_answered_and_its_mates_are_served(caller, bad, kind):
    caller.channel.queue_purge(PARKING)

    caller.send_frame("demo", [a_call("before", text="x"), bad, a_call("after", text="x")])
    caller.listen_until(lambda: len(caller.replies) == 3)

    assert caller.replies["bad"].body["error"]["exc_type"] == kind
    assert caller.replies["before"].result["text"] == caller.replies["after"].result["text"] == "x"
    if kind != "IncorrectSignature":  # of which only the caller is told: arguments are read when the call is run
        parked = eventually(lambda: caller.take(PARKING), what="parking")
        assert [call["id"] for call in json.loads(parked.body)["calls"]] == ["bad"]


def test_a_bad_call_that_grows_when_it_is_written_anew_is_parked_as_its_frame_came(caller):
    caller.channel.queue_purge(PARKING)
    bad = json.dumps(a_call("bad", "no_such_method", context={"a": []})).replace("[]", f"[{'1e15,' * 999}1e15]")
    body = f'{{"calls": [{bad}, {json.dumps(a_call("good", text="x"))}]}}'.encode()

    caller.send("demo.batch", body, type="kirana.calls")
    caller.listen_until(lambda: len(caller.replies) == 2)

    assert caller.replies["good"].result["text"] == "x"
    parked = eventually(lambda: caller.take(PARKING), what="parking")
    assert parked.body == body
    assert parked.headers["x-parked-reason"] == "MethodNotFound: no_such_method"


def test_a_frame_survives_the_death_of_whoever_served_it_and_its_change_is_made_once(caller, rabbit, demo):
    name = f"orphaned {uuid.uuid4()}"
    context = {"operation_id": name, "operation_fingerprint": "f"}
    calls = [a_call("change", "add_thing", name=name, seconds=0.6, context=context), a_call("read", text="x")]
    frame = caller.send_frame("demo", calls)
    caller.listen_until(lambda: frame in caller.taken and "read" in caller.replies)

    time.sleep(lots().uniform(0, 0.8))  # before it commits, or after that
    demo.end(signal.SIGKILL)
    demo.again()
    caller.listen_until(lambda: "change" in caller.replies)

    eventually(lambda: is_well(rabbit, "demo"), what="the demo service")
    assert caller.replies["change"].result["name"] == name
    assert caller.call("demo.count_things", name=name).result["things"] == 1


def test_calls_that_expire_in_the_queue_come_back_to_their_caller_and_are_never_run(rabbit, demo, tmp_path):
    rabbit.ctl("set_policy", "-p", "kirana", "calls", "^rpc-", '{"dead-letter-exchange": "dlx.rpc"}')
    caller = Caller(rabbit.connect())
    caller.return_address()
    demo.end()
    caller.channel.queue_purge("rpc-demo")  # calls expire at the head only: one that never does would hold up all
    try:
        headers = {"kirana-return-to": caller.address}
        calls = [a_call("zombie", "sleep", seconds=0, journal=str(tmp_path / "zombies"))]

        def come_back():
            """Sent again if not: the broker promises no dead letter, and may be late to hear of a policy."""
            frame = caller.send_frame("demo", calls, headers=headers, expiration="300")
            lone = caller.send("demo.echo", b'{"args": ["x"], "kwargs": {}}', headers=headers, expiration="300")
            give_up_at = time.monotonic() + 10
            caller.listen_until(lambda: {frame, lone} <= caller.returned or time.monotonic() > give_up_at)
            return {frame, lone} <= caller.returned

        eventually(come_back, what="what expired")
    finally:
        demo.again()
        rabbit.ctl("clear_policy", "-p", "kirana", "calls")
    eventually(lambda: is_well(rabbit, "demo"), what="the demo service")

    assert not (tmp_path / "zombies").exists()
    caller.connection.close()
