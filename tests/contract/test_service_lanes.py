"""Calls from service to service: many in one message, each with its own answer, and the truth about those without."""

from __future__ import annotations

import json
import time
import uuid
from contextlib import contextmanager

import pytest

from shared.resilience.breaker import LOST_TOGETHER
from tests.builders.waiting import eventually
from tests.contract.caller import Caller
from tests.contract.conftest import is_well
from tests.contract.kirana_demo import NEWS_SECONDS
from tests.contract.played import Played, calls_of, echoed

pytestmark = pytest.mark.takes(75)

LONG_ENOUGH = 3 * NEWS_SECONDS
"""Seconds that a caller waits: the demo service leaves two thirds of them for the news of an expired call, so that the
rest is for whoever takes it in hand before."""


@pytest.fixture(autouse=True)
def whole(rabbit, demo):
    """The demo service asks, and is asked, whatever the test before has cut: it refuses at once until it has a link."""
    with _fresh(rabbit) as caller:
        eventually(lambda: _is_echoed(caller), what="the demo service asking itself")


@pytest.fixture
def played(caller):
    """A service that nobody has called before."""
    played = Played(caller.connection.channel(), f"played-{uuid.uuid4().hex[:8]}")
    yield played
    played.leave()


@pytest.fixture
def expiring(rabbit, played):
    """The service's calls come back when they expire, as in the shop."""
    rabbit.ctl("set_policy", "-p", "kirana", played.name, f"^rpc-{played.name}$", '{"dead-letter-exchange": "dlx.rpc"}')
    yield
    rabbit.ctl("clear_policy", "-p", "kirana", played.name)


@pytest.fixture
def tap(caller):
    """Hears every frame that goes to the demo service."""
    channel = caller.connection.channel()
    queue = channel.queue_declare("", exclusive=True).queue
    channel.queue_bind(queue, "nameko-rpc", "demo.batch")

    def heard():
        found = []
        while (message := channel.basic_get(queue, no_ack=True)) is not None:
            found.append(calls_of(message))
        return found

    return heard


def _ask(caller, service, *calls, patience=20.0, **headers):
    named = {f"nameko.{name}": value for name, value in headers.items()}
    return caller.ask("demo.ask_together", service=service, calls=list(calls), patience=patience, headers=named)


def _told(caller, service, *calls, **more):
    return caller.wait(_ask(caller, service, *calls, **more)).result


def test_calls_that_meet_travel_in_few_frames_and_each_gets_its_own_answer(caller, tap):
    told = _told(caller, "demo", *({"method": "echo", "text": f"word {n}"} for n in range(300)))

    sizes = [len(frame) for frame in tap()]
    assert [each["answer"]["text"] for each in told] == [f"word {n}" for n in range(300)]
    assert sum(sizes) == 300
    assert len(sizes) <= 6, sizes


def test_a_slow_call_does_not_hold_those_it_left_with_nor_those_who_come_after(caller, tap):
    calls = [{"method": "sleep", "seconds": 6}, *({"method": "echo", "text": str(n)} for n in range(20))]
    slow = _ask(caller, "demo", *calls)
    eventually(tap, what="the frame with the slow call")

    after = _told(caller, "demo", *({"method": "echo", "text": str(n)} for n in range(20)))

    first, *mates = caller.wait(slow).result
    assert first["seconds"] >= 6
    assert max(each["seconds"] for each in (*mates, *after)) < 5


def test_a_change_that_a_service_announces_is_answered_and_the_link_survives_the_notice(caller, demo):
    name = f"onward {uuid.uuid4()}"
    _told(caller, "demo", {"method": "echo"})  # the link has opened, and said so
    said = len(demo.log.read_text())

    (told,) = _told(caller, "demo", {"method": "add_thing", "text": name, "seconds": 0.2})

    assert (told["code"], told["answer"] and told["answer"]["name"]) == (None, name)
    assert caller.call("demo.count_things", name=name).result["things"] == 1
    assert "demo-1 asking" not in demo.log.read_text()[said:]


def test_equal_reads_of_a_user_share_a_call_and_equal_changes_do_not(caller, played):
    reads = _ask(caller, played.name, *[{"method": "shout"}] * 10, {"method": "note"}, {"method": "note"}, user_id="u")

    frame = played.take()
    calls = calls_of(frame)
    assert sorted(call["method"] for call in calls) == ["note", "note", "shout"]
    played.answer_calls(frame, *({"id": call["id"], "result": echoed("X"), "error": None} for call in calls))

    assert [each["answer"]["text"] for each in caller.wait(reads).result] == ["X"] * 12
    assert played.is_idle()


def test_a_stock_service_is_asked_call_by_call_and_nobody_hears_of_it(caller, played):
    asked = _ask(caller, played.name, *({"method": "shout", "text": str(n)} for n in range(3)))
    error = {"exc_type": "MethodNotFound", "exc_path": "nameko.exceptions.MethodNotFound", "exc_args": [], "value": ""}
    played.answer(played.take(), {"result": None, "error": error})

    for _ in range(3):
        request = played.take()
        assert request.delivery_info["routing_key"] == f"{played.name}.shout"
        played.answer(request, {"result": echoed(json.loads(request.body)["kwargs"]["text"]), "error": None})

    assert [each["answer"]["text"] for each in caller.wait(asked).result] == ["0", "1", "2"]


def test_what_expires_where_nobody_takes_it_was_surely_not_executed(caller, played, expiring):
    calls = [{"method": "shout"}, {"method": "note"}]

    for told in _told(caller, played.name, *calls, patience=LONG_ENOUGH):
        assert told["code"] == "service.unavailable"
        assert told["details"]["retry_after"] == 1
        assert told["seconds"] < LONG_ENOUGH


def test_calls_with_little_and_with_much_time_are_both_told_that_nobody_took_them(caller, played, expiring):
    asked = {"service": played.name, "calls": [{"method": "note"}]}
    calls = [
        {"id": f"{patience}", "method": "ask_together", "kwargs": {**asked, "patience": patience}, "context": {}}
        for patience in (LONG_ENOUGH, 2 * LONG_ENOUGH)
    ]

    caller.send_frame("demo", calls)  # so that both ask in one turn, and their calls leave in one batch

    for call in calls:
        (told,) = caller.wait(call["id"]).result
        assert told["code"] == "service.unavailable"
        assert told["seconds"] < call["kwargs"]["patience"]


def test_a_change_that_expires_after_a_service_had_it_is_an_unknown_outcome_and_a_read_is_not(caller, played, expiring):
    asked = _ask(caller, played.name, {"method": "shout"}, {"method": "note"}, patience=LONG_ENOUGH)

    frame = played.take_up()
    played.announce(frame)
    played.give_back(frame)

    assert [told["code"] for told in caller.wait(asked).result] == ["service.unavailable", "outcome.unknown"]


def test_a_lone_change_that_expires_is_an_unknown_outcome_for_nobody_says_who_had_it(caller, played, expiring):
    calls = [{"method": "shout"}, {"method": "note"}]
    asked = _ask(caller, played.name, *calls)
    error = {"exc_type": "MethodNotFound", "exc_path": "nameko.exceptions.MethodNotFound", "exc_args": [], "value": ""}
    played.answer(played.take(), {"result": None, "error": error})
    for request in (played.take(), played.take()):
        played.answer(request, {"result": echoed("x"), "error": None})
    caller.wait(asked)

    told = _told(caller, played.name, *calls, patience=LONG_ENOUGH)

    assert [each["code"] for each in told] == ["service.unavailable", "outcome.unknown"]


def test_silence_is_an_unknown_outcome_told_before_our_own_caller_gives_up(caller, played):
    deadline = time.time() + LONG_ENOUGH
    asked = _ask(caller, played.name, {"method": "shout"}, deadline=int(deadline * 1000))
    played.take()

    (told,) = caller.wait(asked).result

    assert told["code"] == "outcome.unknown"
    assert time.time() < deadline


def test_whoever_is_timed_out_in_the_middle_of_a_call_harms_none_of_those_it_left_with(caller, played):
    asked = _ask(caller, played.name, {"method": "note", "cut": 1}, {"method": "note", "text": "stays"})
    frame = played.take()
    cut, stays = calls_of(frame)
    time.sleep(1.5)

    for call in (cut, stays):
        played.answer_calls(frame, {"id": call["id"], "result": echoed(call["kwargs"]["text"]), "error": None})

    told = caller.wait(asked).result
    assert [each["code"] for each in told] == ["cut", None]
    assert told[1]["answer"]["text"] == "stays"


def test_five_silences_open_the_breaker_and_one_answered_probe_closes_it(caller, played):
    silent = []
    for number in range(5):  # apart: what begins together is lost together, and is one silence
        silent.append(_ask(caller, played.name, {"method": "note", "text": str(number)}, patience=LONG_ENOUGH))
        played.take()
        time.sleep(2 * LOST_TOGETHER)
    assert {each["code"] for asked in silent for each in caller.wait(asked).result} == {"outcome.unknown"}

    (refused,) = _told(caller, played.name, {"method": "shout"})

    assert refused["code"] == "service.unavailable"
    assert 1 < refused["details"]["retry_after"] <= 30
    assert refused["seconds"] < 5
    assert played.is_idle()

    time.sleep(refused["details"]["retry_after"])
    probed = _ask(caller, played.name, *({"method": "note", "text": str(n)} for n in range(5)))
    frame = played.take()
    (probe,) = calls_of(frame)
    played.answer_calls(frame, {"id": probe["id"], "result": echoed("x"), "error": None})
    assert sorted(str(each["code"]) for each in caller.wait(probed).result) == ["None", *["service.unavailable"] * 4]

    closed = _ask(caller, played.name, *({"method": "note", "text": str(n)} for n in range(5)))
    frame = played.take()
    played.answer_calls(frame, *({"id": call["id"], "result": echoed("x"), "error": None} for call in calls_of(frame)))
    assert {each["code"] for each in caller.wait(closed).result} == {None}


def test_a_service_to_which_nobody_listens_is_sent_nothing_until_somebody_does(caller, demo):
    said = len(demo.log.read_text())
    played = Played(caller.connection.channel(), f"played-{uuid.uuid4().hex[:8]}", listens=False)
    eventually(lambda: _is_refused(caller, played.name), what="a look at the queue")
    caller.channel.queue_purge(played.queue)  # of what was sent before the look

    for told in _told(caller, played.name, *[{"method": "note"}] * 3, patience=60.0):
        assert (told["code"], told["details"]["retry_after"]) == ("service.unavailable", 1)
        assert told["seconds"] < 30
    assert played.is_idle()

    played.listen()
    eventually(lambda: _is_answered(caller, played), what="the news that somebody listens")
    played.go()
    eventually(lambda: _is_refused(caller, played.name), what="the news that nobody listens any more")
    played.leave()
    assert _is_refused(caller, played.name), "without a queue, too"
    played = Played(caller.connection.channel(), played.name)
    eventually(lambda: _is_answered(caller, played), what="the news that somebody listens again")
    played.leave()
    assert '"rpc.consumers.unseen"' not in demo.log.read_text()[said:], "a queue that is missing ends no look"


def test_one_service_in_trouble_leaves_the_others_alone(caller, played):
    _told(caller, f"nobody-{uuid.uuid4().hex[:8]}", *({"method": "note", "text": str(n)} for n in range(9)))

    assert _told(caller, "demo", {"method": "echo", "text": "well"})[0]["answer"]["text"] == "well"


def test_a_call_cut_off_with_the_link_is_an_unknown_outcome_and_the_next_one_finds_its_answer(rabbit, demo):
    with _fresh(rabbit) as caller:
        played = Played(caller.connection.channel(), f"played-{uuid.uuid4().hex[:8]}")
        _ask(caller, played.name, {"method": "note"}, patience=60)
        played.take()
        said = len(demo.log.read_text())

        rabbit.ctl("close_all_connections", "--global", "the test says so")

    eventually(lambda: '"rpc.not_answered"' in demo.log.read_text()[said:], what="the end of the call")
    eventually(lambda: is_well(rabbit, "demo"), what="the service")
    assert "the link was lost before the answer came" in demo.log.read_text()[said:]
    with _fresh(rabbit) as caller:
        eventually(lambda: _is_echoed(caller), what="a link to call over, and the news that somebody listens")
        eventually(
            lambda: rabbit.ctl("list_queues", "-p", "kirana", "name").count("rpc.reply-demo-") == 1,
            what="the end of the old reply queue",
        )
        Played(caller.connection.channel(), played.name).leave()


def test_a_broker_that_freezes_while_it_is_looked_at_is_looked_at_again_after_the_thaw(rabbit, demo):
    with _fresh(rabbit) as caller:
        played = Played(caller.connection.channel(), f"played-{uuid.uuid4().hex[:8]}")
        eventually(lambda: _is_answered(caller, played), what="a service that is looked at")
        said = len(demo.log.read_text())

        rabbit.pause()
        try:
            eventually(lambda: '"rpc.consumers.unseen"' in demo.log.read_text()[said:], what="a look in vain")
        finally:
            rabbit.resume()

        eventually(lambda: _is_answered(caller, played), what="an answer after the thaw")
        played.go()
        eventually(lambda: _is_refused(caller, played.name), what="a look that is not in vain")
        played.leave()


def test_a_broker_without_memory_is_waited_for_once_and_then_told_of_at_once(rabbit, demo, tmp_path):
    """Asked before the broker stops reading from whoever publishes, and called onward when it has, each by its sign."""
    first, second = tmp_path / "first", tmp_path / "second"
    with _fresh(rabbit) as caller:
        played = Played(caller.connection.channel(), f"played-{uuid.uuid4().hex[:8]}")
        calls = [{"method": "note", "sign": str(first)}, {"method": "note", "sign": str(second)}]
        asked = _ask(caller, played.name, *calls, patience=LONG_ENOUGH)
        eventually(lambda: caller.depth("rpc-demo") == 0, what="the demo service with the calls in hand")
        said = len(demo.log.read_text())
        try:
            rabbit.ctl("set_vm_memory_high_watermark", "0.000001")
            eventually(lambda: _connections(rabbit) <= {"blocking", "blocked"}, what="the alarm")
            first.touch()
            eventually(lambda: "the broker did not confirm" in demo.log.read_text()[said:], what="the first's end")
            eventually(lambda: "blocked" in _connections(rabbit), what="a publisher that was told of the alarm")
            second.touch()
            eventually(lambda: "the broker is out of memory" in demo.log.read_text()[said:], what="the second's end")
        finally:
            rabbit.ctl("set_vm_memory_high_watermark", "0.4")

        unknown, refused = caller.wait(asked).result

        assert (unknown["code"], refused["code"]) == ("outcome.unknown", "service.unavailable")
        assert refused["seconds"] < 2
        eventually(lambda: _is_echoed(caller), what="an answer after the alarm")
        played.leave()


def _is_refused(caller, service):
    """Whether a change surely does not happen. Of one that is sent nobody knows, as nobody answers it."""
    (told,) = _told(caller, service, {"method": "note"}, patience=LONG_ENOUGH)
    return told["code"] == "service.unavailable"


def _is_answered(caller, played):
    """Whether a change is sent, and its answer comes back."""
    asked = _ask(caller, played.name, {"method": "note"}, patience=60.0)
    frame = eventually(lambda: played.look() or asked in caller.replies, what="a frame or a refusal")
    if frame is not True:
        played.answer_calls(frame, {"id": calls_of(frame)[0]["id"], "result": echoed("x"), "error": None})
    (told,) = caller.wait(asked).result
    return told["code"] is None


def _is_echoed(caller):
    """Whether the demo service is asked by itself and answers. If it is not, it surely was not asked."""
    (told,) = _told(caller, "demo", {"method": "echo", "text": "well"})
    assert told["code"] in {None, "service.unavailable"}, told
    return told["code"] is None and told["answer"]["text"] == "well"


def _connections(rabbit):
    """In which states they are: ``blocking`` those which the alarm will stop, ``blocked`` those which it has."""
    return set(rabbit.ctl("list_connections", "--no-table-headers", "state").split())


@contextmanager
def _fresh(rabbit):
    caller = Caller(rabbit.connect())
    yield caller
    caller.connection.close()
