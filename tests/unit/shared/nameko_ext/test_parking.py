"""Where a service parks what it cannot handle: calls and events apart, on a broker that is older than it as well."""

from types import SimpleNamespace

import pytest
from amqp.exceptions import AccessRefused

from shared.contracts import parked
from shared.nameko_ext import topology
from shared.nameko_ext.broker import MOST_HEADER_BYTES, Broker, message_like
from shared.nameko_ext.publishing import LOST, NACKED, UNROUTABLE, NotConfirmed

EVENTS = "evt-order-order.placed--shop.hear"
CALLS = "rpc-shop"
DELIVERY = SimpleNamespace(properties={}, body=b"{", routing_key="shop.sell")


class FakePublisher:
    """Takes a message under each key but those of ``fates``."""

    def __init__(self, **fates):
        self.tried, self._fates = [], fates

    def deliver(self, message, *, exchange, routing_key, is_patient):
        del is_patient
        self.message = message
        self.tried.append((exchange, routing_key))
        if routing_key in self._fates:
            raise NotConfirmed(self._fates[routing_key])


class Refusing:
    """A channel of a user that may not declare queues of calls, as py-amqp leaves it: open."""

    def __init__(self):
        self.declared = []

    def exchange_declare(self, *_, **__):
        pass

    def queue_declare(self, name, **_):
        if name.endswith(".calls"):
            raise AccessRefused(f"configure access to queue '{name}' refused")
        self.declared.append(name)

    def queue_bind(self, *_):
        pass


def park(origin, **fates):
    broker = Broker()
    broker.service, broker.publisher = "shop", FakePublisher(**fates)
    done = broker.try_park(DELIVERY, reason="no sense", origin=origin)
    return done, broker.publisher.tried


@pytest.mark.parametrize(("origin", "key"), [(EVENTS, "shop"), (CALLS, "shop.calls")])
def test_calls_and_events_are_parked_under_keys_of_their_own(origin, key):
    assert park(origin) == (True, [(parked.EXCHANGE, key)])


def test_a_call_that_has_no_queue_yet_is_parked_among_the_events():
    done, tried = park(CALLS, **{"shop.calls": UNROUTABLE})

    assert done
    assert tried == [(parked.EXCHANGE, "shop.calls"), (parked.EXCHANGE, "shop")]


@pytest.mark.parametrize("fate", [NACKED, LOST])
def test_a_call_whose_queue_may_have_it_is_not_parked_twice(fate):
    assert park(CALLS, **{"shop.calls": fate}) == (False, [(parked.EXCHANGE, "shop.calls")])


def test_an_event_that_has_no_queue_is_not_parked():
    assert park(EVENTS, shop=UNROUTABLE) == (False, [(parked.EXCHANGE, "shop")])


def test_a_broker_that_refuses_the_queue_of_calls_stops_nothing():
    channel = Refusing()

    topology.declare_rpc(channel, "shop")

    assert channel.declared == [CALLS, parked.parking_queue("shop")]


def parked_with(headers, body=b"{", **properties):
    broker = Broker()
    broker.service, broker.publisher = "shop", FakePublisher()
    delivery = SimpleNamespace(properties={"application_headers": headers, **properties}, body=body, routing_key="k")
    broker.park(delivery, reason="no sense", origin=CALLS)
    return broker.publisher.message


def test_of_many_headers_as_many_are_kept_as_fit_into_a_frame_and_ours_are_among_them():
    headers = {f"h{number}": "ä" * 2000 for number in range(32)}

    message = parked_with({"nameko.request_id": "r-1", **headers, parked.REASON: "x" * 4000})

    kept = message.properties["application_headers"]
    assert (kept["nameko.request_id"], kept[parked.REASON], kept[parked.FROM]) == ("r-1", "no sense", CALLS)
    assert 0 < len([name for name in kept if name in headers]) < len(headers)
    assert MOST_HEADER_BYTES - 4100 < len(message._serialize_properties()) < MOST_HEADER_BYTES + 1000


def test_a_header_that_cannot_be_written_again_is_left_out_of_the_copy():
    headers = {"first": 1, "too large": 2**64, "nested": nested(5000), "last": [1]}

    message = message_like({}, b"x", headers)

    assert message.properties["application_headers"] == {"first": 1, "last": [1]}
    assert message._serialize_properties()


def test_an_empty_message_in_an_encoding_that_nobody_knows_is_parked_as_bytes():
    assert parked_with({}, "", content_encoding="no such").body == b""


def nested(depth):
    found = {}
    for _ in range(depth):
        found = {"a": found}
    return found
