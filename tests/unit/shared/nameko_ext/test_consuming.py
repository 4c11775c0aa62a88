"""What arrives at one who takes no more goes back; what arrives while paused is done."""

from types import SimpleNamespace

import pytest

from shared.nameko_ext.consuming import Consumer


class Channel:
    """Brings messages to whoever consumes on it, and notes what it is told."""

    def __init__(self):
        self.connection = SimpleNamespace()
        self.callbacks = {}
        self.told = []

    def basic_consume(self, _queue, tag, **_):
        self.told.append("consume")
        self.tag = tag

    def basic_qos(self, *_, **__):
        pass

    def basic_cancel(self, *_, **__):
        self.told.append("cancel")

    def basic_reject(self, tag, *, requeue):
        self.told.append(("reject", tag, requeue))

    def bring(self, tag):
        about = {"delivery_tag": tag, "redelivered": False, "routing_key": "shop.batch"}
        self.callbacks[self.tag](SimpleNamespace(delivery_info=about, properties={}, body=b"{}"))


@pytest.fixture
def channel():
    return Channel()


@pytest.fixture
def taken():
    return []


@pytest.fixture
def consumer(channel, taken):
    consumer = Consumer("amqp://nowhere", "rpc-shop", prefetch=10, declare=lambda _: None, on_delivery=taken.append)
    consumer.link = SimpleNamespace(is_open=True, write=lambda frames: frames())
    consumer._open(SimpleNamespace(channel=lambda: channel))
    return consumer


def test_what_is_on_its_way_when_it_takes_no_more_is_given_back(consumer, channel, taken):
    consumer.cancel()
    channel.bring(7)

    assert (channel.told, taken) == (["consume", "cancel", ("reject", 7, True)], [])


def test_what_is_on_its_way_when_it_pauses_is_done(consumer, channel, taken):
    consumer.pause()
    channel.bring(7)

    assert (channel.told, len(taken)) == (["consume", "cancel"], 1)


def test_a_connection_that_opens_after_it_takes_no_more_consumes_nothing(consumer, channel):
    consumer.cancel()
    channel.told.clear()
    consumer._open(SimpleNamespace(channel=lambda: channel))

    assert channel.told == []
