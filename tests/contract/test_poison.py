"""Nothing a message can contain kills the service or takes a worker from it; it is put aside with its reason."""

from __future__ import annotations

import pickle
import time
import zlib
from itertools import cycle, islice
from statistics import median
from struct import pack

import amqp
import pytest

from tests.builders.waiting import eventually
from tests.contract.conftest import is_well

PARKING = "parking.demo.calls"
EVENTS_PARKING = "parking.demo"
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
    "operation id with NUL": (GOOD, {}, {"nameko.operation_id": "a\x00b"}),
    "huge header": (GOOD, {}, {"nameko.request_id": "x" * 64_000}),
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


@pytest.mark.parametrize(
    "properties",
    [
        pytest.param(pack(">HB2s", 0x8000, 2, b"\xff\xfe"), id="content type that is no text"),
        pytest.param(pack(">HIB1scQ", 0x2000, 11, 1, b"t", b"T", 2**63), id="header with an impossible time"),
    ],
)
def test_properties_that_cannot_be_read_do_not_cut_the_connection(caller, properties):
    caller.channel.queue_purge(PARKING)
    message = RawMessage(GOOD)
    message.raw = properties

    caller.channel.basic_publish(message, "nameko-rpc", "demo.echo")

    parked = eventually(lambda: caller.take(PARKING), what="parking")
    assert _bytes(parked.body) == GOOD
    assert parked.headers["x-parked-reason"] == "no usable reply_to"


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


class RawMessage(amqp.Message):
    """Carries property bytes that no client library would write."""

    raw = b""

    def _serialize_properties(self) -> bytes:
        return self.raw


def _bytes(body: object) -> bytes:
    return body if isinstance(body, bytes) else str(body).encode()
