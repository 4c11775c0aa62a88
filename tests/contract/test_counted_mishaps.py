"""What comes again and what is put aside is counted where an operator looks: in the process's own metrics."""

from __future__ import annotations

import json
import uuid
from contextlib import closing
from functools import partial

import amqp
import pytest

from shared.nameko_ext import topology
from tests.builders.servers import free_port
from tests.builders.told import told
from tests.builders.waiting import eventually
from tests.contract.caller import Caller
from tests.contract.conftest import is_well

pytestmark = pytest.mark.takes(15)

CALLS = "rpc-demo"
EVENTS = "evt-demo-thing.added--demo.on_thing_added"
PARKING = "parking.demo"
CALL_PARKING = "parking.demo.calls"
REDELIVERIES = "kirana_rpc_redeliveries_total"
PARKED = "kirana_messages_parked_total"
IN_FLIGHT = "kirana_rpc_in_flight"
HANDLED = "kirana_events_handled_total"
GIVEN_UP = "kirana_calls_given_up_total"
CROWD = 100
"""More messages than the service takes in advance."""
JSON = {"content_type": "application/json", "content_encoding": "utf-8", "delivery_mode": 2}


def hopeless(attempt: int) -> amqp.Message:
    """An event whose handler fails, as it comes from step ``attempt`` of the ladder."""
    return an_event(f"unlucky {uuid.uuid4()}", {"x-kirana-attempt": attempt})


def an_event(name: str, headers: dict[str, int]) -> amqp.Message:
    envelope = {
        "event_id": str(uuid.uuid4()),
        "type": "thing.added",
        "version": 1,
        "occurred_at": "2026-01-01T00:00:00Z",
        "aggregate_id": "x",
        "sequence": 1,
        "request_id": "r",
        "data": {"name": name},
    }
    return amqp.Message(json.dumps(envelope), application_headers=headers, **JSON)


@pytest.fixture(scope="module")
def tell(rabbit, demo, start):
    """Asks a demo service that has the queue to itself for a metric of its own."""
    demo.end()
    port = free_port()
    measured = start("-m", "kirana_demo", name="measured", KIRANA_METRICS_PORT=str(port))
    eventually(lambda: is_well(rabbit, "demo"), what="the measured service")
    yield partial(told, f"http://127.0.0.1:{port}/metrics")
    measured.end()
    demo.again()
    eventually(lambda: is_well(rabbit, "demo"), what="the demo service")


@pytest.fixture
def caller(rabbit):
    """In place of the one that wants the session's service alive."""
    with closing(rabbit.connect()) as connection:
        caller = Caller(connection)
        for queue in (PARKING, CALL_PARKING):
            caller.channel.queue_purge(queue)
        yield caller


@pytest.fixture
def no_parking(caller):
    """As when an operator has deleted the queues. They are back afterwards."""
    for queue in (PARKING, CALL_PARKING):
        caller.channel.queue_delete(queue)
    yield
    topology.declare_parking(caller.channel, "demo")


def test_a_request_that_comes_a_second_time_is_counted_once(rabbit, tell, tmp_path):
    """The call runs until the file is there, however long it takes to cut the connections."""
    sign, before = tmp_path / "sign", tell(REDELIVERIES, service="demo")
    orphan = Caller(rabbit.connect())
    orphan.ask("demo.ask_together", service="demo", calls=[{"method": "echo", "sign": str(sign)}])
    eventually(lambda: tell(IN_FLIGHT, service="demo", side="server") == 1, what="the call's start")
    orphan.connection.collect()

    rabbit.cut_all_connections()

    eventually(lambda: tell(REDELIVERIES, service="demo") == before + 1, what="the redelivery in the metrics")
    sign.touch()
    eventually(lambda: tell(IN_FLIGHT, service="demo", side="server") == 0, what="the call's end")
    eventually(lambda: is_well(rabbit, "demo"), what="the service")
    assert tell(REDELIVERIES, service="demo") == before + 1


def test_calls_that_come_once_are_no_redeliveries(caller, tell):
    before = tell(REDELIVERIES)

    caller.wait_for_all([caller.ask("demo.echo", "x") for _ in range(20)])

    assert tell(REDELIVERIES) == before


def test_an_event_that_comes_a_second_time_is_counted_once(caller, tell):
    """First somebody takes it who comes before the service, and gives it back."""
    before, handled, taken = tell(REDELIVERIES, service="demo"), tell(HANDLED, outcome="handled"), []
    tag = caller.channel.basic_consume(EVENTS, callback=taken.append, arguments={"x-priority": 10})
    caller.channel.basic_publish(an_event(str(uuid.uuid4()), {}), "", EVENTS)
    caller.listen_until(lambda: taken)

    caller.channel.basic_cancel(tag)
    caller.channel.basic_reject(taken[0].delivery_tag, requeue=True)

    eventually(lambda: tell(HANDLED, outcome="handled") == handled + 1, what="the event's end")
    assert tell(REDELIVERIES, service="demo") == before + 1


def test_events_that_come_once_are_no_redeliveries(caller, tell):
    before, handled = tell(REDELIVERIES), tell(HANDLED, outcome="handled")

    caller.channel.basic_publish(an_event(str(uuid.uuid4()), {}), "", EVENTS)

    eventually(lambda: tell(HANDLED, outcome="handled") == handled + 1, what="the event's end")
    assert tell(REDELIVERIES) == before


def test_a_call_that_is_parked_is_counted_by_the_queue_it_came_from(caller, tell):
    calls, events = tell(PARKED, **{"from": CALLS}), tell(PARKED, **{"from": EVENTS})

    for _ in range(3):
        caller.send("demo.echo", b"{")

    eventually(lambda: caller.depth(CALL_PARKING) == 3, what="parking of all")
    eventually(lambda: tell(PARKED, service="demo", **{"from": CALLS}) == calls + 3, what="three more")
    assert tell(PARKED, **{"from": EVENTS}) == events


@pytest.mark.usefixtures("no_parking")
def test_bad_calls_that_cannot_be_parked_hold_up_no_good_call_and_are_counted_in_the_end(caller, tell):
    before = tell(GIVEN_UP, service="demo")

    bad = [caller.send("demo.echo", b"{") for _ in range(CROWD)]
    good = [caller.ask("demo.echo", "x") for _ in range(CROWD)]

    assert {reply.result["text"] for reply in caller.wait_for_all(good)} == {"x"}
    assert {reply.body["error"]["exc_type"] for reply in caller.wait_for_all(bad)} == {"MalformedRequest"}
    eventually(lambda: tell(GIVEN_UP, service="demo") == before + CROWD, what="the end of all tries")
    eventually(lambda: caller.depth(CALLS) == 0, what="an empty queue")


def test_an_event_that_is_parked_is_counted_whether_it_was_unreadable_or_failed_to_the_end(caller, tell):
    events, ends = tell(PARKED, **{"from": EVENTS}), tell(HANDLED, outcome="parked")

    caller.channel.basic_publish(amqp.Message(b"{", **JSON), "demo.events", "thing.added")
    caller.channel.basic_publish(hopeless(attempt=3), "", EVENTS)

    eventually(lambda: caller.depth(PARKING) == 2, what="parking of both")
    eventually(lambda: tell(PARKED, service="demo", **{"from": EVENTS}) == events + 2, what="two more")
    eventually(lambda: tell(HANDLED, outcome="parked") == ends + 2, what="both fates")


def test_an_event_that_is_put_off_is_counted_so_and_not_as_parked(caller, tell):
    put_off, parked = tell(HANDLED, outcome="put_off"), tell(PARKED)

    caller.channel.basic_publish(hopeless(attempt=2), "", EVENTS)

    eventually(lambda: tell(HANDLED, outcome="put_off") == put_off + 1, what="one more put off")
    assert tell(PARKED) == parked
    eventually(lambda: caller.take(f"retry.30s.{EVENTS}"), what="the event on its step of the ladder")
