"""Events: written with their change, published once the broker has them, handled once in effect, parked at last."""

from __future__ import annotations

import json
import time
import uuid
from contextlib import closing

import amqp
import psycopg2
import pytest

from shared.messaging.outbox import BATCH
from tests.builders.rabbitmq import VIRTUAL_HOST
from tests.builders.waiting import eventually

pytestmark = pytest.mark.takes(90)

QUEUE = "evt-demo-thing.added--demo.on_thing_added"
PARKING = "parking.demo"
SILENT = "evt-demo-thing.added--silent"

IN_ALARM = 15
"""Seconds in which an event that is sent again after each silence comes three times."""


def _count(caller, name):
    return caller.call("demo.count_things", name=name).result


def _envelope(name: str, **changes: object) -> bytes:
    envelope = {
        "event_id": str(uuid.uuid4()),
        "type": "thing.added",
        "version": 1,
        "occurred_at": "2026-01-01T00:00:00.000000Z",
        "aggregate_id": name,
        "sequence": 1,
        "request_id": "r",
        "data": {"name": name, "later": "added by a newer version"},
    }
    return json.dumps({**envelope, **changes}).encode()


def _publish(
    caller, body: bytes, *, key: str = "thing.added", exchange: str = "demo.events", **headers: object
) -> None:
    message = amqp.Message(body, content_type="application/json", application_headers=headers, delivery_mode=2)
    caller.channel.basic_publish(message, exchange, key)


def test_an_event_of_the_outbox_is_handled_once_and_soon(caller):
    name = str(uuid.uuid4())

    caller.call("demo.add_thing", name=name, headers={"nameko.request_id": "request-of-the-event"})

    eventually(lambda: _count(caller, name)["handled"] == 1, what="the handler")
    eventually(lambda: _count(caller, name)["unpublished"] == 0, what="the relay's note that the broker has it")


def test_the_envelope_and_its_properties_are_as_agreed(caller):
    queue = caller.channel.queue_declare("", exclusive=True).queue
    caller.channel.queue_bind(queue, "demo.events", "thing.added")
    name = str(uuid.uuid4())

    caller.call("demo.add_thing", name=name, headers={"nameko.request_id": "request-1"})
    caller.call("demo.add_thing", name=name, headers={"nameko.request_id": "request-2"})

    def of_this_thing():
        """The next one; what a test before this one has changed may still be told."""
        event = caller.take(queue)
        return event if event and json.loads(event.body)["data"] == {"name": name} else None

    first, second = (eventually(of_this_thing, what="the event") for _ in range(2))
    body = json.loads(first.body)
    assert body["type"] == "thing.added"
    assert body["request_id"] == first.headers["nameko.request_id"] == "request-1"
    assert body["event_id"] == first.properties["message_id"]
    assert (body["sequence"], json.loads(second.body)["sequence"]) == (1, 2)
    assert first.properties["delivery_mode"] == 2
    assert first.properties["content_type"] == "application/json"


def test_the_same_event_twice_has_one_effect(caller):
    name = str(uuid.uuid4())
    body = _envelope(name)

    for _ in range(10):
        _publish(caller, body)

    eventually(lambda: _count(caller, name)["handled"] == 1)
    eventually(lambda: caller.depth(QUEUE) == 0)
    assert _count(caller, name)["handled"] == 1


def test_a_failing_handler_leaves_nothing_behind_and_its_event_climbs_the_ladder_into_parking(caller):
    name = f"unlucky {uuid.uuid4()}"
    caller.channel.queue_purge(PARKING)

    _publish(caller, _envelope(name))

    last = eventually(lambda: caller.take(f"retry.30s.{QUEUE}"), what="the third step")
    assert last.headers["x-kirana-attempt"] == 3
    assert _count(caller, name)["handled"] == 0
    _publish(caller, last.body, key=QUEUE, exchange="", **{"x-kirana-attempt": 3})  # without waiting 30 s
    parked = eventually(lambda: caller.take(PARKING), what="parking")
    assert parked.headers["x-parked-reason"] == "failed 4 times, last with ValueError"
    assert parked.headers["x-parked-from"] == QUEUE
    assert json.loads(parked.body)["aggregate_id"] == name
    assert _count(caller, name)["handled"] == 0


def test_what_is_no_event_is_parked_at_once(caller):
    caller.channel.queue_purge(PARKING)
    bad = [b"{", b"[]", _envelope("x", data={}), _envelope("x", type="thing.lost"), _envelope("x", sequence="one")]

    for body in bad:
        _publish(caller, body)

    eventually(lambda: caller.depth(PARKING) == len(bad), what="parking of all")
    assert caller.depth(QUEUE) == 0


def test_two_relays_publish_everything_once_and_in_order(caller, start):
    second = start("-m", "kirana_demo", name="demo-2")
    eventually(lambda: caller.consumers("rpc-demo") == 2, what="two replicas")
    queue = caller.channel.queue_declare("", exclusive=True).queue
    caller.channel.queue_bind(queue, "demo.events", "thing.added")
    name, added = str(uuid.uuid4()), 0

    while added < 250:  # all write one row: whom a slow machine lets wait too long for it is told to ask again
        replies = caller.wait_for_all([caller.ask("demo.add_thing", name=name) for _ in range(250 - added)])
        refused = [reply.code for reply in replies if reply.body["error"] is not None]
        assert set(refused) <= {"service.unavailable"}
        added += len(replies) - len(refused)

    told = []
    eventually(lambda: told.extend(_events(caller, queue, name)) or len(told) >= 250, what="all events")
    assert [event["sequence"] for event in told] == list(range(1, 251))
    assert second.end() == 0


def _write(environment: dict[str, str], name: str, data: object, event_type: str = "thing.added") -> None:
    """Into the outbox, as a change would."""
    _write_all(environment, [(name, data, event_type)])


def _write_all(environment: dict[str, str], events: list[tuple[str, object, str]]) -> None:
    """The same, by one change."""
    with closing(psycopg2.connect(environment["KIRANA_DATABASE_URL"])) as connection, connection:
        connection.cursor().executemany(
            "INSERT INTO outbox (event_id, service, type, version, aggregate_id, sequence, request_id, data)"
            " VALUES (%s, 'demo', %s, 1, %s, 1, 'r', %s)",
            [(str(uuid.uuid4()), event_type, name, json.dumps(data)) for name, data, event_type in events],
        )


def _waiting(environment: dict[str, str]) -> set[str]:
    """The types of the events in the outbox that wait."""
    with closing(psycopg2.connect(environment["KIRANA_DATABASE_URL"])) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT type FROM outbox WHERE published_at IS NULL")
        return {row[0] for row in cursor.fetchall()}


def test_an_event_that_nobody_binds_is_no_obstacle(caller, environment):
    _write(environment, "x", {}, "thing.unheard")

    eventually(lambda: _count(caller, "x")["unpublished"] == 0, what="the unheard event")


def test_a_queue_that_confirms_nothing_stops_no_event_of_another_type(caller, rabbit, environment):
    """As one without a leader: more events than the relay takes at once wait for it. RabbitMQ confirms nothing else on
    a channel on which it waits for such a queue."""
    caller.channel.queue_declare(SILENT, durable=True, auto_delete=False, arguments={"x-queue-type": "quorum"})
    caller.channel.queue_bind(SILENT, "demo.events", "thing.added")
    rabbit.ctl("eval", f"sys:suspend('{VIRTUAL_HOST}_{SILENT}').")
    things = [(name, {"name": name}, "thing.added") for name in (str(uuid.uuid4()) for _ in range(BATCH + 20))]
    try:
        _write_all(environment, [*things, ("x", {}, "thing.unheard")])
        for _ in range(5):
            eventually(lambda: _waiting(environment) == {"thing.added"}, what="the event of the other type")
            time.sleep(1)
            _write(environment, "x", {}, "thing.unheard")
    finally:
        rabbit.ctl("eval", f"sys:resume('{VIRTUAL_HOST}_{SILENT}').")
        caller.channel.queue_delete(SILENT)

    eventually(lambda: not _waiting(environment), what="the others, once the queue is gone")


def test_an_alarm_of_the_broker_sends_no_event_twice(caller, rabbit, environment):
    """The first event that is published in it tells the relay of it: those that are written later wait for its end."""
    queue = caller.channel.queue_declare("", exclusive=True).queue
    caller.channel.queue_bind(queue, "demo.events", "thing.added")
    first, later = str(uuid.uuid4()), str(uuid.uuid4())
    try:
        rabbit.ctl("set_vm_memory_high_watermark", "0.000001")
        eventually(lambda: _connections(rabbit) <= {"blocking", "blocked"}, what="the alarm")
        _write(environment, first, {"name": first})
        eventually(lambda: "blocked" in _connections(rabbit), what="a relay that was told of the alarm")
        _write(environment, later, {"name": later})
        time.sleep(IN_ALARM)
    finally:
        rabbit.ctl("set_vm_memory_high_watermark", "0.4")

    eventually(lambda: _count(caller, later)["unpublished"] == 0, what="the relay's note that the broker has both")
    sent = [event["aggregate_id"] for event in _events(caller, queue, first, later)]
    assert sent.count(later) == 1
    assert sent[0] == first  # which a broker that takes seconds to tell of its alarm may have got twice
    assert set(sent[:-1]) == {first}


def test_an_event_that_fails_in_an_alarm_is_kept_until_it_is_over_and_then_put_off(caller, rabbit, demo):
    """The ladder brings it to its handler in the alarm, in which nobody can send one there."""
    caller.channel.queue_purge(PARKING)
    caller.channel.queue_purge(f"retry.30s.{QUEUE}")
    body = _envelope(f"unlucky {uuid.uuid4()}")
    event_id = json.loads(body)["event_id"]

    def tries():
        return sum('"event.failed"' in line and event_id in line for line in demo.log.read_text().splitlines())

    try:
        _publish(caller, body, key=f"retry.5s.{QUEUE}", exchange="", **{"x-kirana-attempt": 1})
        rabbit.ctl("set_vm_memory_high_watermark", "0.000001")
        eventually(tries, what="the first try")
        time.sleep(IN_ALARM)
        assert tries() == 1
    finally:
        rabbit.ctl("set_vm_memory_high_watermark", "0.4")

    last = eventually(lambda: caller.take(f"retry.30s.{QUEUE}"), what="the next step of the ladder, and the one after")
    assert json.loads(last.body)["event_id"] == event_id
    assert (last.headers["x-kirana-attempt"], tries()) == (3, 2)
    assert caller.depth(PARKING) == 0


def _events(caller, queue: str, *names: str) -> list[dict]:
    """Those in the queue that are about these things: what a test before has changed may still be told there."""
    events = [json.loads(caller.take(queue).body) for _ in range(caller.depth(queue))]
    return [event for event in events if event["data"].get("name") in names]


def _connections(rabbit) -> set[str]:
    """In which states they are: ``blocking`` those which the alarm will stop, ``blocked`` those which it has."""
    return set(rabbit.ctl("list_connections", "--no-table-headers", "state").split())
