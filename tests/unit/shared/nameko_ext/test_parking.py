"""Where a service parks what it cannot handle: calls and events apart, on a broker that is older than it as well."""

from types import SimpleNamespace

import pytest
from amqp.exceptions import AccessRefused

from shared.contracts import parked
from shared.nameko_ext import topology
from shared.nameko_ext.broker import Broker
from shared.nameko_ext.publishing import LOST, NACKED, UNROUTABLE, NotConfirmed

EVENTS = "evt-order-order.placed--shop.hear"
CALLS = "rpc-shop"
DELIVERY = SimpleNamespace(properties={}, body=b"{", routing_key="shop.sell")


class FakePublisher:
    """Takes a message under each key but those of ``fates``."""

    def __init__(self, **fates):
        self.tried, self._fates = [], fates

    def deliver(self, message, *, exchange, routing_key):
        del message
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
