from types import SimpleNamespace

import amqp
import eventlet
import pytest

from shared.nameko_ext.link import LinkDown
from shared.nameko_ext.publishing import (
    CONFIRMED,
    LOST,
    NACKED,
    UNROUTABLE,
    Confirmation,
    Confirms,
    NotConfirmed,
    Publisher,
)


class FakeChannel:
    def __init__(self):
        self.events = {"basic_ack": set(), "basic_nack": set(), "basic_return": set()}
        self.sent = []

    def confirm_select(self):
        pass

    def send_method(self, _method, _signature, arguments, message):
        self.sent.append((arguments, message))

    def tell(self, event, tag, *, multiple=False):
        for callback in self.events[event]:
            callback(tag, multiple)

    def give_back(self, message_id):
        returned = SimpleNamespace(properties={"message_id": message_id})
        for callback in self.events["basic_return"]:
            callback(None, "e", "k", returned)


class FakeLink:
    name = "link"

    def write(self, frames):
        frames()


@pytest.fixture
def channel():
    return FakeChannel()


@pytest.fixture
def confirms(channel):
    confirms = Confirms()
    confirms.attach(channel)
    return confirms


def publish(confirms, message_id="m"):
    confirmation = Confirmation()
    message = amqp.Message("x", message_id=message_id)
    confirms.publish(FakeLink(), message, confirmation, exchange="e", routing_key="k")
    return confirmation


def test_each_message_is_mandatory_and_gets_its_own_confirm(confirms, channel):
    first, second = publish(confirms, "1"), publish(confirms, "2")

    channel.tell("basic_ack", 2)
    channel.tell("basic_nack", 1)

    assert (first.wait(0), second.wait(0)) == (NACKED, CONFIRMED)
    assert channel.sent[0][0] == (0, "e", "k", True, False)


def test_one_ack_may_confirm_many(confirms, channel):
    confirmations = [publish(confirms, str(n)) for n in range(3)]

    channel.tell("basic_ack", 2, multiple=True)

    assert [confirmation.wait(0) for confirmation in confirmations] == [CONFIRMED, CONFIRMED, LOST]


def test_a_returned_message_is_unroutable_though_it_is_acked_after(confirms, channel):
    confirmation = publish(confirms, "m-1")

    channel.give_back("m-1")
    channel.tell("basic_ack", 1)

    assert confirmation.wait(0) == UNROUTABLE


def test_of_a_message_whose_fate_is_known_nothing_is_kept(confirms, channel):
    for number in range(3):
        publish(confirms, f"m-{number}")

    channel.give_back("m-0")
    channel.tell("basic_ack", 3, multiple=True)

    assert (confirms._pending, confirms._by_message_id) == ({}, {})


def test_a_message_that_is_sent_twice_is_known_by_its_later_sending(confirms, channel):
    publish(confirms, "m")
    again = publish(confirms, "m")

    channel.tell("basic_ack", 1)
    channel.give_back("m")

    assert again.wait(0) == UNROUTABLE


def test_with_the_channel_every_open_confirm_is_lost(confirms):
    confirmation = publish(confirms)

    confirms.forget()

    assert confirmation.wait(0) == LOST
    with pytest.raises(LinkDown):
        publish(confirms)


@pytest.fixture
def connection(channel):
    return SimpleNamespace(channel=lambda: channel)


@pytest.fixture
def publisher(connection):
    publisher = Publisher("amqp://nowhere", "events")
    publisher._open(connection)
    publisher.link = FakeLink()
    return publisher


def send(publisher):
    return publisher.publish(amqp.Message("x", message_id="m"), exchange="e", routing_key="k")


def test_a_broker_that_asked_to_be_left_alone_is_sent_nothing_until_it_is_well(
    publisher, connection, channel, monkeypatch
):
    monkeypatch.setattr("shared.nameko_ext.publishing.ALARM_SECONDS", 0.0)
    connection.on_blocked("low on memory")
    with pytest.raises(LinkDown):
        send(publisher)
    with pytest.raises(NotConfirmed):
        publisher.deliver(amqp.Message("x"), exchange="e", routing_key="k")
    assert channel.sent == []

    connection.on_unblocked()
    send(publisher)

    assert len(channel.sent) == 1


def test_what_must_arrive_waits_for_the_end_of_an_alarm(publisher, connection, channel, monkeypatch):
    monkeypatch.setattr("shared.nameko_ext.publishing.ALARM_SECONDS", 60.0)
    connection.on_blocked("low on memory")
    delivering = eventlet.spawn(publisher.deliver, amqp.Message("x"), exchange="e", routing_key="k")
    eventlet.sleep(0)
    assert channel.sent == []

    connection.on_unblocked()
    while not channel.sent:
        eventlet.sleep(0.01)
    channel.tell("basic_ack", 1)

    assert delivering.wait() is None


@pytest.fixture
def alarmed(publisher, connection, channel, monkeypatch):
    """Delivers in an alarm that outlasts all bounds; gives how that went and what may be ended: alarm and patience."""
    monkeypatch.setattr("shared.nameko_ext.publishing.ALARM_SECONDS", 0.0)
    monkeypatch.setattr("shared.nameko_ext.publishing.LOOK_SECONDS", 0.0)
    patience = [True]

    def is_patient():
        return bool(patience)

    delivering = eventlet.spawn(
        publisher.deliver, amqp.Message("x"), exchange="e", routing_key="k", is_patient=is_patient
    )
    return SimpleNamespace(delivering=delivering, leave=patience.clear)


def turns():
    for _ in range(10):
        eventlet.sleep(0)


def test_who_is_patient_waits_for_the_end_of_an_alarm_however_long_it_is(publisher, connection, channel, alarmed):
    connection.on_blocked("low on memory")
    turns()
    assert (channel.sent, alarmed.delivering.dead) == ([], False)

    connection.on_unblocked()
    turns()
    channel.tell("basic_ack", 1)

    assert alarmed.delivering.wait() is None


def test_who_leaves_is_patient_no_longer(publisher, connection, channel, alarmed):
    connection.on_blocked("low on memory")
    turns()

    alarmed.leave()

    with pytest.raises(NotConfirmed):
        alarmed.delivering.wait()
    assert channel.sent == []


def test_what_the_broker_was_given_just_before_its_alarm_is_not_sent_again(monkeypatch, connection, channel, alarmed):
    monkeypatch.setattr(Confirmation.word, "__defaults__", (0.05,))
    turns()
    connection.on_blocked("low on memory")
    eventlet.sleep(0.2)
    assert (len(channel.sent), alarmed.delivering.dead) == (1, False)

    connection.on_unblocked()
    channel.tell("basic_ack", 1)

    assert alarmed.delivering.wait() is None
    assert len(channel.sent) == 1


def test_what_one_connection_was_told_says_nothing_of_the_next(publisher, connection):
    connection.on_blocked("low on memory")

    publisher._lose()

    assert not publisher.is_blocked
