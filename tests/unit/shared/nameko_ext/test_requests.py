"""How a service sorts the requests the broker brings, also twice, and what becomes of them when it is told to go."""

import orjson
import pytest

from shared.contracts.method import Method, Nothing, Request
from shared.nameko_ext.requests import Requests
from shared.nameko_ext.rpc import Rpc

PROPERTIES = {"content_type": "application/json", "reply_to": "somebody", "correlation_id": "1"}


class FakeDelivery:
    routing_key = "shop.sell"
    body = orjson.dumps({"args": [], "kwargs": {}})

    def __init__(self, *, redelivered=False):
        self.properties, self.redelivered, self.settled = PROPERTIES, redelivered, None

    def ack(self):
        self.settled = "ack"

    def requeue(self):
        self.settled = "requeue"


class FakePool:
    def free(self):
        return 1


class FakeContainer:
    """Spawns nobody: whatever comes waits."""

    _worker_pool = FakePool()

    def __init__(self):
        self.spawned = []

    def spawn_worker(self, door, args, kwargs, *, context_data, handle_result):
        del door, args, kwargs, context_data
        self.spawned.append(handle_result)


class FakeConsumer:
    is_consuming = False

    def __init__(self):
        self.cancelled = False

    def cancel(self):
        self.cancelled = True


@pytest.fixture
def requests():
    requests = Requests()
    requests.container, requests.consumer, requests._service = FakeContainer(), FakeConsumer(), "shop"
    requests.open_door("sell", Rpc(Method("shop", "sell", Request, Nothing, mutating=True)))
    return requests


def test_whoever_is_told_to_go_while_the_broker_is_away_takes_nothing_when_it_is_back(requests):
    requests.drain()

    assert requests.consumer.cancelled


def test_what_waits_for_a_worker_goes_to_others_when_the_service_is_told_to_go(requests):
    delivery = FakeDelivery()
    requests.receive(delivery)

    requests.drain()

    assert delivery.settled == "requeue"


def test_a_redelivery_of_what_still_waits_is_not_run_beside_it(requests):
    requests.receive(FakeDelivery())

    again = FakeDelivery(redelivered=True)
    requests.receive(again)

    assert len(requests.container.spawned) == 1
    assert requests.container.spawned[0].delivery is again


def test_what_was_given_back_and_comes_again_is_taken_anew(requests):
    requests.receive(FakeDelivery())
    requests.drain()

    requests.receive(FakeDelivery(redelivered=True))

    assert len(requests.container.spawned) == 2
