"""An event whose connection goes while it is kept for the end of an alarm: whoever is given it then sees to it."""

from types import SimpleNamespace

import eventlet
import pytest

from shared.contracts import parked
from shared.contracts.events import ORDER_PLACED, Event
from shared.messaging.call import Call
from shared.metrics.counting import handled
from shared.nameko_ext import topology
from shared.nameko_ext.broker import Broker
from shared.nameko_ext.events import EventDoor
from shared.nameko_ext.handling import Handling
from shared.nameko_ext.publishing import Publisher


class Channel:
    def __init__(self):
        self.events = {"basic_ack": set(), "basic_nack": set(), "basic_return": set()}
        self.sent = []

    def confirm_select(self):
        pass

    def exchange_declare(self, *_, **__):
        pass

    def send_method(self, _method, _signature, _arguments, message):
        self.sent.append(message)


class Delivery(SimpleNamespace):
    """``settled`` is what became of it."""

    def __init__(self):
        super().__init__(properties={}, body=b"{}", routing_key="k", redelivered=False)
        self.is_lost, self.settled = False, []

    def ack(self):
        self.settled.append("acked")

    def requeue(self):
        self.settled.append("given back")


@pytest.fixture
def channel():
    return Channel()


@pytest.fixture
def connection(channel):
    return SimpleNamespace(channel=lambda: channel)


@pytest.fixture
def publisher(connection, monkeypatch):
    """In an alarm, which lasts longer than whoever has no patience waits."""
    monkeypatch.setattr("shared.nameko_ext.publishing.LOOK_SECONDS", 0.0)
    publisher = Publisher("amqp://nowhere", "events")
    publisher._open(connection)
    publisher.link = SimpleNamespace(name="link", write=lambda frames: frames())
    connection.on_blocked("low on memory")
    return publisher


@pytest.fixture
def door(publisher):
    door = EventDoor(ORDER_PLACED)
    door.queue = topology.event_queue("order", "order.placed", "notification", "on_order_placed")
    door.fates = handled(ORDER_PLACED.name)
    door.broker = Broker()
    door.broker.service, door.broker.publisher = "notification", publisher
    door.container = SimpleNamespace(shared_extensions={}, service_name="notification")
    door.method_name = "on_order_placed"
    return door


def fail(*_):
    raise ZeroDivisionError


def handle(door, delivery):
    event = Event(event_id="e", type="order.placed", version=1, occurred_at="", aggregate_id="o", sequence=1,
                  request_id="r", data={})  # fmt: skip
    handling = Handling(door, delivery, event, None, Call(request_id="r"))
    handling.run(SimpleNamespace(call_id_stack=[]), fail)


def put_off(door, delivery):
    delivery.properties["application_headers"] = {parked.ATTEMPT: 0}
    handle(door, delivery)


def park_what_failed(door, delivery):
    delivery.properties["application_headers"] = {parked.ATTEMPT: 3}
    handle(door, delivery)


def park_what_nobody_can_read(door, delivery):
    door._park(delivery, "no sense")


def turns():
    for _ in range(10):
        eventlet.sleep(0)


@pytest.fixture(params=[put_off, park_what_failed, park_what_nobody_can_read])
def keeping(request, door):
    """How an event is kept; gives it and the worker, once it is."""

    def keep(delivery):
        worker = eventlet.spawn(request.param, door, delivery)
        turns()
        return worker

    return keep


def test_what_is_lost_in_an_alarm_holds_no_worker_and_is_published_by_nobody(keeping, connection, channel):
    delivery = Delivery()
    worker = keeping(delivery)
    assert not worker.dead

    delivery.is_lost = True
    with eventlet.Timeout(60):
        worker.wait()
    connection.on_unblocked()
    turns()

    assert (channel.sent, "acked" in delivery.settled) == ([], False)


def test_what_is_lost_as_the_alarm_ends_is_published_by_nobody(keeping, connection, channel):
    """A broker that starts anew ends both at once."""
    delivery = Delivery()
    worker = keeping(delivery)

    delivery.is_lost = True
    connection.on_unblocked()
    with eventlet.Timeout(60):
        worker.wait()

    assert (channel.sent, "acked" in delivery.settled) == ([], False)


def test_what_was_lost_before_is_published_by_nobody(keeping, connection, channel):
    delivery = Delivery()
    delivery.is_lost = True
    connection.on_unblocked()

    with eventlet.Timeout(60):
        keeping(delivery).wait()

    assert (channel.sent, "acked" in delivery.settled) == ([], False)
