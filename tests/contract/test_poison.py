"""Nothing a message can contain kills the service or takes a worker from it; it is put aside with its reason."""

from __future__ import annotations

import pickle
import time
import zlib
from itertools import cycle, islice
from statistics import median

import amqp
import pytest

from tests.builders.unreadable import UNREADABLE, RawMessage
from tests.builders.waiting import eventually
from tests.contract.conftest import is_well

PARKING = "parking.demo.calls"
EVENTS_PARKING = "parking.demo"
EVENTS = "evt-demo-thing.added--demo.on_thing_added"
ASKING = "rpc.reply-demo-"
LARGEST_HEADER_FRAME = 131_072 - 8 - 12
"""Of properties as many bytes as RabbitMQ takes by default, in one frame with its own eight and the twelve before."""

WITHOUT_CALLS_PARKING = r"^(?!parking\.demo\.calls$).*$"
ROUNDS = 10
CALLS_PER_ROUND = 5
POISONS_PER_CALL = 10
GOOD = b'{"args": ["x"], "kwargs": {}}'

POISONS = {
    "no usable reply_to": (GOOD, {"reply_to": None}, {}),
    "no content type": (GOOD, {"content_type": None}, {}),
    "unknown content type": (GOOD, {"content_type": "application/x-yaml"}, {}),
    "pickle": (pickle.dumps({"args": [], "kwargs": {}}), {"content_type": "application/x-python-serialize"}, {}),
    "not JSON": (b"{", {}, {}),
    "invalid UTF-8": (b'{"args": ["\xff"], "kwargs": {}}', {}, {}),
    "NaN": (b'{"args": [NaN], "kwargs": {}}', {}, {}),
    "nested too deep": (b"[" * 100_000, {}, {}),
    "empty body": (b"", {}, {}),
    "compressed": (zlib.compress(GOOD), {}, {"compression": "application/x-gzip"}),
    "other encoding": (GOOD, {"content_encoding": "utf-16"}, {}),
    "integer call stack": (GOOD, {}, {"nameko.call_id_stack": 5}),
    "stack of integers": (GOOD, {}, {"nameko.call_id_stack": [1, 2]}),
    "endless stack": (GOOD, {}, {"nameko.call_id_stack": ["a.b.c"] * 100}),
    "deadline in words": (GOOD, {}, {"nameko.deadline": "soon"}),
    "negative deadline": (GOOD, {}, {"nameko.deadline": -1}),
    "boolean deadline": (GOOD, {}, {"nameko.deadline": True}),
    "user id table": (GOOD, {}, {"nameko.user_id": {"a": 1}}),
    "operation id number": (GOOD, {}, {"nameko.operation_id": 7}),
    "operation id longer than an index": (GOOD, {}, {"nameko.operation_id": "一" * 1024}),
    "operation id with NUL": (GOOD, {}, {"nameko.operation_id": "a\x00b"}),
    "huge call stack": (GOOD, {}, {"nameko.call_id_stack": ["a" * 1024] * 64}),
    "huge header": (GOOD, {}, {"nameko.request_id": "x" * 64_000}),
    "user id with half a sign": (GOOD, {}, {"nameko.user_id": "\ud800"}),
    "trace state with half a sign": (GOOD, {}, {"nameko.tracestate": "a=\udfff"}),
    "call stack with half a sign": (GOOD, {}, {"nameko.call_id_stack": ["\ud800"]}),
    "impossible reply": (GOOD, {"reply_to": ""}, {}),
}


@pytest.mark.parametrize("name", POISONS)
def test_poison_is_parked_with_its_reason_and_the_process_lives(caller, demo, name):
    body, properties, headers = POISONS[name]
    caller.channel.queue_purge(PARKING)

    caller.send("demo.echo", body, headers=headers, **properties)

    parked = eventually(lambda: caller.take(PARKING), what="parking")
    assert _bytes(parked.body) == body
    assert parked.headers["x-parked-reason"]
    assert eventually(lambda: caller.depth("rpc-demo") == 0)
    assert demo.lives
    assert caller.call("demo.echo", "alive").result["text"] == "alive"


@pytest.fixture
def uncut(demo):
    """Whatever comes, no connection of the service's is lost."""
    said = len(demo.log.read_text())
    yield
    away = [line for line in demo.log.read_text()[said:].splitlines() if '"broker.away"' in line]
    assert away == []


@pytest.mark.usefixtures("uncut")
@pytest.mark.parametrize("name", UNREADABLE)
def test_properties_that_cannot_be_read_do_not_cut_the_connection(caller, name):
    for queue, exchange, key in ((PARKING, "nameko-rpc", "demo.echo"), (EVENTS_PARKING, "demo.events", "thing.added")):
        caller.channel.queue_purge(queue)

        caller.channel.basic_publish(RawMessage.of(GOOD, UNREADABLE[name]), exchange, key)

        parked = eventually(lambda queue=queue: caller.take(queue), what="parking")
        assert _bytes(parked.body) == GOOD
        assert parked.headers["x-parked-reason"] in {"no usable reply_to", "no content type"}


@pytest.mark.usefixtures("uncut")
@pytest.mark.parametrize(
    ("key", "read"),
    [(b"demo.\xff\xfe", "demo.??"), (b"demo.\xed\xa0\x80", "demo.???"), ("demo.größe".encode(), "demo.größe")],
)
def test_a_routing_key_that_is_no_text_is_that_of_no_method(caller, key, read):
    caller.channel.queue_purge(PARKING)

    reply = caller.wait(caller.send(key, GOOD))

    assert reply.body["error"]["exc_type"] == "MethodNotFound"
    parked = eventually(lambda: caller.take(PARKING), what="parking")
    assert parked.headers["x-parked-reason"] == f"MethodNotFound: {read.removeprefix('demo.')}"
    assert parked.headers["x-parked-key"] == read


@pytest.mark.usefixtures("uncut")
@pytest.mark.parametrize("key", [b"\xff\xfe", b"\xed\xa0\x80"])
def test_an_event_with_a_routing_key_that_is_no_text_is_read_like_any_other(caller, key):
    caller.channel.queue_purge(EVENTS_PARKING)
    caller.channel.queue_bind(EVENTS, "demo.events", "#")
    try:
        caller.channel.basic_publish(amqp.Message(b"{", content_type="application/json"), "demo.events", key)
        parked = eventually(lambda: caller.take(EVENTS_PARKING), what="parking")
    finally:
        caller.channel.queue_unbind(EVENTS, "demo.events", "#")

    assert "the body is no JSON" in parked.headers["x-parked-reason"]


@pytest.mark.usefixtures("uncut")
@pytest.mark.parametrize("key", [b"\xff\xfe", b"\xed\xa0\x80"])
def test_a_message_with_such_a_key_among_the_answers_to_a_service_harms_no_answer(caller, rabbit, key):
    itself = {"service": "demo", "calls": [{"method": "echo", "text": "well"}]}
    eventually(lambda: caller.call("demo.ask_together", **itself).result[0]["answer"], what="the service asking itself")
    (queue,) = [name for name in rabbit.ctl("list_queues", "-p", "kirana", "name").split() if ASKING in name]
    headers = {"kirana-return-to": queue.partition(ASKING)[2]}

    caller.channel.basic_publish(amqp.Message(b"{}", application_headers=headers), "dlx.rpc", key)

    (told,) = caller.call("demo.ask_together", **itself).result
    assert (told["code"], told["answer"]["text"]) == (None, "well")


@pytest.mark.usefixtures("uncut")
def test_headers_that_fill_a_frame_are_parked_in_part_and_the_connection_that_parks_is_not_cut(caller):
    caller.channel.queue_purge(PARKING)
    message = amqp.Message(GOOD, content_type="application/json", reply_to=caller.address, correlation_id="full")
    headers = message.properties["application_headers"] = {f"h{number}": "x" * 4000 for number in range(32)}
    headers["rest"] = ""
    headers["rest"] = "x" * (LARGEST_HEADER_FRAME - len(message._serialize_properties()))

    caller.channel.basic_publish(message, "nameko-rpc", "demo.echo")

    parked = eventually(lambda: caller.take(PARKING), what="parking")
    assert parked.headers["x-parked-reason"] == "the headers are too large"
    assert parked.headers["h0"] == headers["h0"]
    assert len(parked._serialize_properties()) < LARGEST_HEADER_FRAME
    assert caller.depth("rpc-demo") == 0


@pytest.mark.usefixtures("uncut")
def test_nothing_in_an_encoding_that_nobody_knows_is_parked(caller):
    caller.channel.queue_purge(PARKING)

    caller.send("demo.echo", b"", content_encoding="no-such")

    parked = eventually(lambda: caller.take(PARKING), what="parking")
    assert parked.headers["x-parked-reason"] == "content encoding is not UTF-8"


def test_a_strange_header_of_somebody_else_is_ignored(caller):
    asked = caller.send("demo.echo", GOOD, headers={b"\xff\xfe": "x", "x-other": {"a": [1, None, 2.5]}})

    assert caller.wait(asked).result["text"] == "x"


def test_a_hundred_poisonous_messages_leave_every_worker_free(caller):
    poisons = [*POISONS.values()] * 5
    sent = {caller.send("demo.echo", body, headers=headers, **properties) for body, properties, headers in poisons}

    replies = caller.wait_for_all([caller.ask("demo.sleep", seconds=0.3) for _ in range(20)])

    assert len({reply.result["pid"] for reply in replies}) == 1
    while sent:
        parked = eventually(lambda: caller.take(PARKING), what=lambda: f"parking of {len(sent)} more")
        sent.discard(parked.properties.get("correlation_id"))


def test_a_stream_of_poison_costs_other_calls_hardly_any_time(caller, demo):
    """Calm and beside the stream in turn, so that whatever else the machine does meets both alike."""
    stream, calm, beside = cycle(POISONS.values()), [], []
    caller.channel.queue_purge(PARKING)

    for number in range(1, ROUNDS + 1):
        calm += [timed(caller, demo) for _ in range(CALLS_PER_ROUND)]
        for _ in range(CALLS_PER_ROUND):
            for body, properties, headers in islice(stream, POISONS_PER_CALL):
                caller.send("demo.echo", body, headers=headers, **properties)
            beside.append(timed(caller, demo))
        parked = number * CALLS_PER_ROUND * POISONS_PER_CALL
        eventually(lambda n=parked: caller.depth(PARKING) == n, what=f"parking of all {parked}")

    caller.channel.queue_purge(PARKING)
    print(f"calm {median(calm) * 1000:.1f} ms, beside poison {median(beside) * 1000:.1f} ms")
    assert median(beside) <= 5 * median(calm) + 0.1


def timed(caller, demo) -> float:
    """How many seconds a call takes, which the one process answers."""
    started = time.monotonic()
    reply = caller.call("demo.sleep", seconds=0)
    assert reply.result["pid"] == demo.pid
    return time.monotonic() - started


def test_a_caller_that_has_gone_hurts_nobody(caller):
    for _ in range(30):
        caller.send("demo.echo", GOOD, reply_to="nobody-listens-here")

    assert caller.call("demo.echo", "x").result["text"] == "x"


def test_a_service_that_is_newer_than_the_brokers_rights_serves_and_parks_calls_among_the_events(
    caller, demo, rabbit, start
):
    rabbit.ctl("add_user", "older", "older")
    rabbit.ctl("set_permissions", "-p", "kirana", "older", WITHOUT_CALLS_PARKING, ".*", ".*")
    demo.end()
    caller.channel.queue_delete(PARKING)
    caller.channel.queue_purge(EVENTS_PARKING)
    newer = start("-m", "kirana_demo", name="newer", KIRANA_AMQP_URL=rabbit.url_of("older", "older"))
    try:
        eventually(lambda: is_well(rabbit, "demo"), what="the newer service")
        caller.send("demo.echo", b"{")
        parked = eventually(lambda: caller.take(EVENTS_PARKING), what="parking")
    finally:
        newer.end()
        demo.again()
        eventually(lambda: is_well(rabbit, "demo"), what="the demo service")

    assert (_bytes(parked.body), parked.headers["x-parked-from"]) == (b"{", "rpc-demo")
    assert caller.depth(PARKING) == 0


def _bytes(body: object) -> bytes:
    return body if isinstance(body, bytes) else str(body).encode()
