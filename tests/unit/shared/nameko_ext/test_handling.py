from types import SimpleNamespace

import pytest

from shared.contracts import parked
from shared.contracts.events import ORDER_PLACED, Event
from shared.messaging.call import Call
from shared.metrics.counting import FATES, handled, registry
from shared.nameko_ext import topology
from shared.nameko_ext.broker import MOST_HEADER_BYTES
from shared.nameko_ext.events import EventDoor
from shared.nameko_ext.handling import MOST_OUTAGE_ATTEMPTS, Handling, next_delay_ms


def test_a_failing_event_waits_longer_each_time_and_is_then_parked():
    assert [next_delay_ms(n, is_outage=False) for n in range(4)] == [1_000, 5_000, 30_000, None]


def test_an_outage_is_waited_out_but_not_for_ever():
    assert next_delay_ms(50, is_outage=True) == 30_000
    assert next_delay_ms(MOST_OUTAGE_ATTEMPTS, is_outage=True) is None


def fates():
    return {
        fate: registry.get_sample_value("kirana_events_handled_total", {"type": "order.placed", "outcome": fate}) or 0
        for fate in FATES
    }


def handle(handler, *, attempts, headers=(), sent=None):
    """One event through a door whose broker takes everything; what is put off is appended to ``sent``."""
    taken, sent = [], [] if sent is None else sent
    broker = SimpleNamespace(
        park=lambda *_, **__: taken.append("parked"),
        publisher=SimpleNamespace(deliver=lambda message, **__: sent.append(message) or taken.append("put_off")),
    )
    queue = topology.event_queue("order", "order.placed", "notification", "on_order_placed")
    fates = handled(ORDER_PLACED.name)
    door = SimpleNamespace(database=None, queue=queue, broker=broker, fates=fates, keeps=lambda _: True)
    properties = {"application_headers": {**dict(headers), parked.ATTEMPT: attempts}}
    delivery = SimpleNamespace(properties=properties, body=b"{}", is_lost=False, ack=lambda: taken.append("acked"))
    event = Event(event_id="e", type="order.placed", version=1, occurred_at="", aggregate_id="o", sequence=1,
                  request_id="r", data={})  # fmt: skip
    Handling(door, delivery, event, None, Call(request_id="r")).run(SimpleNamespace(call_id_stack=[]), handler)
    return taken


def fail(*_):
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("handler", "attempts", "fate", "done"),
    [
        (lambda *_: None, 0, "handled", ["acked"]),
        (fail, 0, "put_off", ["put_off", "acked"]),
        (fail, 3, "parked", ["parked", "acked"]),
    ],
)
def test_an_event_counts_once_under_what_became_of_it(handler, attempts, fate, done):
    before = fates()

    assert handle(handler, attempts=attempts) == done

    after = fates()
    assert {each: after[each] - before[each] for each in FATES} == {each: each == fate for each in FATES}


def test_a_door_keeps_an_event_for_the_end_of_an_alarm_until_it_closes():
    door = EventDoor(ORDER_PLACED)
    door.consumer = SimpleNamespace(cancel=lambda: None)
    door.container = SimpleNamespace(waiting_for=lambda _: [])
    delivery = SimpleNamespace(is_lost=False)
    assert door.keeps(delivery)

    door.stop()

    assert not door.keeps(delivery)


def test_an_event_that_is_put_off_knows_how_often_it_was_tried_however_much_travels_with_it():
    sent = []

    handle(fail, attempts=1, headers={"nameko.other": ["x" * MOST_HEADER_BYTES], "x-death": [{}]}, sent=sent)

    assert [message.headers for message in sent] == [{parked.ATTEMPT: 2}]
