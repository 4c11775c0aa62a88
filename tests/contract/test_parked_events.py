"""``kirana events`` on a real broker: what is parked is seen, put back or dropped, and never lost by looking."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from struct import pack

import amqp
import psycopg2
import pytest

from kirana.parking.frames import raw_message
from kirana.parking.ledger import FILE_NAME
from kirana.parking.lot import MOST_RETURNS, Lot
from kirana.parking.moving import look
from kirana.parking.replaying import again
from kirana.parking.turn import Address
from kirana.stack.faults import Busy
from shared.contracts import parked as names
from tests.builders.servers import free_port
from tests.builders.waiting import eventually

pytestmark = pytest.mark.takes(40)

QUEUE = "evt-demo-thing.added--demo.on_thing_added"
PARKING = "parking.demo"
CALL_PARKING = "parking.demo.calls"
LAST_ATTEMPT = {"x-kirana-attempt": 3}


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def document(self):
        return json.loads(self.out)


def run(url, home, *words, answer=None):
    """As an operator types it, or a script without a terminal."""
    done = subprocess.run(
        [sys.executable, "-m", "kirana.cli", "events", *words],
        env={**os.environ, "KIRANA_AMQP_URL": url, "KIRANA_HOME": str(home), "PYTHONSAFEPATH": "1"},
        input=answer or "",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def events(rabbit, caller, tmp_path):
    for queue in (PARKING, CALL_PARKING):
        caller.channel.queue_purge(queue)
    return partial(run, rabbit.url, tmp_path)


@pytest.fixture
def listed(events):
    return lambda: events("parked", "--service", "demo", "--json").document


@pytest.fixture
def broken_handler(environment):
    """The handler's table is away, as after half a migration; calling the fixture's value brings it back."""
    connection = psycopg2.connect(environment["KIRANA_DATABASE_URL"])
    connection.autocommit = True

    def rename(old, new):
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE IF EXISTS {old} RENAME TO {new}")

    rename("handled", "handled_away")
    mend = partial(rename, "handled_away", "handled")
    yield mend
    mend()
    connection.close()


def envelope(name, **data):
    return json.dumps(
        {
            "event_id": str(uuid.uuid4()),
            "type": "thing.added",
            "version": 1,
            "occurred_at": "2026-01-01T00:00:00.000000Z",
            "aggregate_id": name,
            "sequence": 1,
            "request_id": f"request-of-{name}",
            "data": {"name": name, **data},
        }
    ).encode()


def publish(caller, body, headers, *, key="thing.added", exchange="demo.events"):
    message = amqp.Message(
        body,
        content_type="application/json",
        application_headers=headers,
        delivery_mode=2,
        message_id=str(uuid.uuid4()),
    )
    caller.channel.basic_publish(message, exchange, key)


def park_by_hand(caller, count, **headers):
    """Messages that no handler of the demo takes, so that they stay where they are put."""
    known = {names.FROM: "evt-gone-thing.lost--demo.on_thing_lost", names.REASON: "by hand"}
    before = caller.depth(PARKING)
    for number in range(count):
        publish(caller, b"%d" % number, {**known, **headers}, key=PARKING, exchange="")
    eventually(lambda: caller.depth(PARKING) == before + count, what="parking by hand")


def handled(environment, name):
    connection = psycopg2.connect(environment["KIRANA_DATABASE_URL"])
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM handled WHERE name = %s", (name,))
        found = cursor.fetchone()[0]
    connection.close()
    return found


def bodies(caller):
    return [bytes(caller.take(PARKING).body) for _ in range(caller.depth(PARKING))]


@contextmanager
def bounded_parking(rabbit, *, length):
    """As full as after 10,000."""
    rabbit.ctl("set_policy", "-p", "kirana", "short", "^parking\\.demo", f'{{"max-length": {length}}}')
    try:
        eventually(lambda: "short" in rabbit.ctl("list_queues", "-p", "kirana", "name", "policy"), what="the policy")
        yield
    finally:
        rabbit.ctl("clear_policy", "-p", "kirana", "short")


@contextmanager
def dropping_what_returns(rabbit, *, times):
    """As RabbitMQ 4 does by itself: what has come back to its queue so often is thrown away."""
    rabbit.ctl("set_policy", "-p", "kirana", "impatient", "^parking\\.demo$", f'{{"delivery-limit": {times}}}')
    try:
        eventually(
            lambda: "impatient" in rabbit.ctl("list_queues", "-p", "kirana", "name", "policy"), what="the policy"
        )
        yield
    finally:
        rabbit.ctl("clear_policy", "-p", "kirana", "impatient")


def test_an_event_that_failed_up_the_ladder_is_seen_and_once_mended_handled_exactly_once(
    caller, events, listed, broken_handler, environment
):
    name = str(uuid.uuid4())
    publish(caller, envelope(name, password="hush"), {})
    last = eventually(lambda: caller.take(f"retry.30s.{QUEUE}"), what="the third step")
    publish(caller, last.body, {**LAST_ATTEMPT}, key=QUEUE, exchange="")  # without waiting 30 s
    eventually(lambda: caller.depth(PARKING) == 1, what="parking")

    [found] = listed()
    shown = events("parked", found["id"][:8], "--service", "demo")
    broken_handler()
    replayed = events("replay", found["id"][:8], "--service", "demo")

    assert found["from"] == QUEUE
    assert found["reason"] == "failed 4 times, last with ProgrammingError"
    assert (found["kind"], found["what"], found["attempts"]) == ("event", "thing.added", 4)
    assert found["request_id"] == f"request-of-{name}"
    assert name in shown.out
    assert "hush" not in shown.out
    assert replayed.code == 0, replayed.err
    eventually(lambda: handled(environment, name) == 1, what="the mended handler")
    eventually(lambda: caller.depth(QUEUE) == 0)
    assert caller.depth(PARKING) == 0


def test_an_event_replayed_twice_has_one_effect(caller, events, broken_handler, environment):
    name = str(uuid.uuid4())
    body = envelope(name)
    for _ in range(2):
        publish(caller, body, LAST_ATTEMPT, key=QUEUE, exchange="")
    eventually(lambda: caller.depth(PARKING) == 2, what="parking of both")
    broken_handler()

    replayed = events("replay", "--service", "demo", "--from", QUEUE, "--yes")

    assert replayed.code == 0, replayed.err
    eventually(lambda: handled(environment, name) == 1, what="the mended handler")
    eventually(lambda: caller.depth(QUEUE) == 0)
    assert handled(environment, name) == 1


def test_a_replay_that_dies_between_the_copy_and_the_removal_loses_nothing_and_has_one_effect(
    caller, events, rabbit, broken_handler, environment
):
    name = str(uuid.uuid4())
    publish(caller, envelope(name), LAST_ATTEMPT, key=QUEUE, exchange="")
    eventually(lambda: caller.depth(PARKING) == 1, what="parking")
    broken_handler()

    lot = Lot(Address(rabbit.url, ""))

    def die_half_way(parked):
        lot.deliver(again(parked), parked.summary.origin)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), lot:
        lot.visit("demo", die_half_way)
    eventually(lambda: handled(environment, name) == 1, what="the mended handler")
    eventually(lambda: caller.depth(PARKING) == 1, what="the parked copy")
    replayed = events("replay", "--service", "demo", "--yes")

    assert replayed.code == 0, replayed.err
    eventually(lambda: caller.depth(QUEUE) == 0)
    assert (handled(environment, name), caller.depth(PARKING)) == (1, 0)


def test_an_event_that_fails_again_starts_at_the_foot_of_the_ladder(caller, events):
    name = f"unlucky {uuid.uuid4()}"
    publish(caller, envelope(name), LAST_ATTEMPT, key=QUEUE, exchange="")
    eventually(lambda: caller.depth(PARKING) == 1, what="parking")

    replayed = events("replay", "--service", "demo", "--yes")

    assert replayed.code == 0, replayed.err
    waiting = eventually(lambda: caller.take(f"retry.5s.{QUEUE}"), what="the second step")
    assert waiting.headers["x-kirana-attempt"] == 2
    assert json.loads(bytes(waiting.body))["aggregate_id"] == name


def test_a_call_that_is_poison_is_shown_with_its_reason_and_never_run(caller, events, listed):
    caller.send("demo.echo", b'{"args": ["asha", "hush"], "kwargs": {"password": "hush"}}')
    caller.send("demo.echo", b'{"password": "hush', reply_to=None)
    eventually(lambda: caller.depth(CALL_PARKING) == 2, what="parking")

    found = listed()
    shown = [events("parked", each["id"], "--service", "demo", "--json") for each in found]
    replayed = events("replay", "--service", "demo", "--yes")

    assert {each["kind"] for each in found} == {"call"}
    assert any("IncorrectSignature" in each["reason"] for each in found)
    assert not [each for each in shown if "hush" in each.out]
    assert replayed.code == 1
    assert "has been told that it failed" in replayed.out
    assert "without an address" in replayed.out
    assert (caller.depth(PARKING), caller.depth(CALL_PARKING)) == (0, 2)


def test_calls_however_many_push_out_no_event(caller, events, rabbit):
    kept = [b"{%d" % number for number in range(3)]
    for body in kept:
        publish(caller, body, {})
    eventually(lambda: caller.depth(PARKING) == 3, what="parking of the events")

    with bounded_parking(rabbit, length=3):
        caller.wait_for_all([caller.send("demo.echo", b"[%d]" % number) for number in range(12)])

        eventually(lambda: caller.depth(CALL_PARKING) == 3, what="the last calls alone")
        assert sorted(bodies(caller)) == kept


def test_events_and_calls_are_told_apart_and_dropped_alike_whichever_queue_they_lie_in(
    caller, events, listed, tmp_path
):
    by_an_older_version = {names.FROM: "rpc-demo", names.REASON: "by hand", names.KEY: "demo.echo"}
    publish(caller, b"{1", {})
    eventually(lambda: caller.depth(PARKING) == 1, what="parking of the event")
    publish(caller, b"{2", by_an_older_version, key=PARKING, exchange="")
    caller.send("demo.echo", b"{3")
    eventually(lambda: (caller.depth(PARKING), caller.depth(CALL_PARKING)) == (2, 1), what="parking of all")

    found = listed()
    shown = events("parked", "--service", "demo")
    dropped = events("drop", "--service", "demo", "--from", "rpc-demo", "--yes")

    assert [each["kind"] for each in found] == ["event", "call", "call"]
    assert all(re.search(rf"{each['kind']} +│ {each['from']}", shown.out) for each in found)
    assert dropped.code == 0, dropped.err
    lines = [json.loads(line) for line in (tmp_path / FILE_NAME).read_text().splitlines()]
    assert [(each["queue"], each["body"]) for each in lines] == [(PARKING, "{2"), (CALL_PARKING, "{3")]
    assert (bodies(caller), caller.depth(CALL_PARKING)) == ([b"{1"], 0)


def test_a_handler_that_is_gone_is_no_place_to_replay_to(caller, events):
    park_by_hand(caller, 2)

    replayed = events("replay", "--service", "demo", "--yes")

    assert replayed.code == 1
    assert "its queue is gone" in replayed.out
    assert caller.depth(PARKING) == 2


def test_dropping_asks_first_and_keeps_a_copy(caller, events, listed, tmp_path):
    park_by_hand(caller, 3)
    chosen = listed()[1]["id"]

    unasked = events("drop", chosen, "--service", "demo")
    declined = events("drop", chosen, "--service", "demo", answer="n\n")
    still_there = caller.depth(PARKING)
    dropped = events("drop", chosen, "--service", "demo", answer="y\n")

    assert (unasked.code, declined.code, still_there) == (1, 1, 3)
    assert "--yes" in unasked.err
    assert dropped.code == 0, dropped.err
    assert chosen[:8] in dropped.err
    kept = json.loads((tmp_path / FILE_NAME).read_text())
    assert (kept["id"], kept["queue"], kept["body"]) == (chosen, PARKING, "1")
    assert bodies(caller) == [b"0", b"2"]


def test_looking_again_and_again_loses_nothing_and_keeps_the_order(caller, events, rabbit):
    with dropping_what_returns(rabbit, times=20):
        park_by_hand(caller, 40)

        seen = [_look(rabbit) for _ in range(2 * MOST_RETURNS + 4)]

        assert len({tuple(each) for each in seen}) == 1
        assert bodies(caller) == [b"%d" % number for number in range(40)]


def test_what_was_dropped_is_gone_however_much_it_was(caller, events, tmp_path):
    park_by_hand(caller, 300)

    dropped = events("drop", "--service", "demo", "--yes")

    assert dropped.code == 0, dropped.err
    assert caller.depth(PARKING) == 0
    assert len((tmp_path / FILE_NAME).read_text().splitlines()) == 300


def test_one_operator_waits_for_the_other_and_says_so_when_it_takes_too_long(rabbit, caller):
    told = []

    with (
        Lot(Address(rabbit.url, "")),
        pytest.raises(Busy, match="Somebody else"),
        Lot(Address(rabbit.url, ""), patience=0.3, on_wait=lambda: told.append("waiting")),
    ):
        pass

    assert told == ["waiting"]
    assert _look(rabbit) is not None


def test_two_operators_at_once_lose_and_double_nothing(caller, events, environment, broken_handler):
    wanted = [str(uuid.uuid4()) for _ in range(30)]
    for name in wanted:
        publish(caller, envelope(name), LAST_ATTEMPT, key=QUEUE, exchange="")
    eventually(lambda: caller.depth(PARKING) == len(wanted), what="parking of all")
    broken_handler()

    with ThreadPoolExecutor(4) as people:
        looks = [people.submit(events, "parked", "--service", "demo", "--json") for _ in range(2)]
        counts = [len(each.result().document) for each in looks]
        replays = [people.submit(events, "replay", "--service", "demo", "--yes") for _ in range(2)]
        done = [each.result() for each in replays]

    assert counts == [len(wanted)] * 2
    assert 0 in {each.code for each in done}
    eventually(lambda: all(handled(environment, name) == 1 for name in wanted), what="every event")
    assert caller.depth(PARKING) == 0


def test_an_operator_who_vanishes_leaves_everything_in_its_place(caller, events, rabbit):
    park_by_hand(caller, 20)

    def vanish(parked):
        if parked.body == b"7":
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt), Lot(Address(rabbit.url, "")) as lot:
        lot.visit("demo", vanish)

    eventually(lambda: caller.depth(PARKING) == 20, what="the return of all")
    assert len(_look(rabbit)) == 20


def nested(depth):
    fields = b""
    for _ in range(depth):
        fields = b"\x01aF" + pack(">I", len(fields)) + fields
    return fields


def test_messages_that_no_client_can_read_do_not_hide_the_others(caller, events, listed):
    park_by_hand(caller, 1)
    caller.channel.queue_bind(PARKING, "amq.fanout")
    broken = [
        pack(">HB2s", 0x8000, 2, b"\xff\xfe"),  # a content type that is no text
        pack(">HIB1scQ", 0x2000, 11, 1, b"t", b"T", 2**63),  # a header with an impossible time
        pack(">HIB1scQ", 0x2000, 11, 1, b"t", b"T", 10**18),  # one with a time that the operating system refuses
        pack(">HI", 0x2000, len(nested(3000))) + nested(3000),  # tables in each other
    ]
    barely = pack(">HI", 0x2000, len(nested(600))) + nested(600)
    for properties in (*broken, barely):
        caller.channel.basic_publish(raw_message(b"\xff\x00{", properties), "", PARKING)
    publish(caller, b"key", {}, key=b"\xff\xfe", exchange="amq.fanout")
    eventually(lambda: caller.depth(PARKING) == 7)

    found = listed()
    shown = [events("parked", each["id"], "--service", "demo") for each in found]
    replayed = events("replay", "--service", "demo", "--yes")
    dropped = events("drop", *(each["id"] for each in found), "--service", "demo", "--yes")

    assert replayed.code == 1
    assert [each["reason"] for each in found].count("its properties cannot be read") == len(broken)
    assert [each.code for each in shown] == [0] * 7
    assert dropped.code == 0
    assert caller.depth(PARKING) == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("parked", "--service", "demo"), 0, "Nothing is parked by demo"),
        (("replay", "--service", "demo", "--yes"), 0, "Nothing of that is parked"),
        (("parked", "--service", "nobody"), 1, "No service 'nobody'"),
        (("parked", "abcdef01", "--service", "demo"), 1, "No parked message has the id 'abcdef01'"),
        (("drop", "abcdef01", "--service", "demo", "--yes"), 1, "No parked message has the id 'abcdef01'"),
        (("replay",), 2, "say which"),
        (("drop", "--all", "--service", "demo"), 2, "say which"),
    ],
)
def test_what_can_be_mended_is_said_in_a_sentence(events, words, code, said):
    done = events(*words)

    assert done.code == code
    assert said in " ".join(done.err.split())


def test_a_broker_that_is_away_or_refuses_is_said_in_a_sentence(rabbit, tmp_path):
    away = run(f"amqp://u:p@127.0.0.1:{free_port()}/kirana", tmp_path, "parked")
    refused = run(rabbit.url_of("guest", "wrong"), tmp_path, "parked")

    assert (away.code, refused.code) == (3, 1)
    assert "The broker cannot be reached" in away.err
    assert "KIRANA_AMQP_URL" in away.err
    assert "The broker refuses" in refused.err


def _look(rabbit):
    with Lot(Address(rabbit.url, "")) as lot:
        return [each.id for each in look(lot, ["demo"])]
