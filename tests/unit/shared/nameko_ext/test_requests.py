"""How a service sorts the requests the broker brings, also twice, and what becomes of them when it is told to go."""

from itertools import chain, cycle
from types import SimpleNamespace

import eventlet
import orjson
import pytest
from msgspec import Raw

from shared.contracts.frames import FramedCall, read_calls, write_calls
from shared.contracts.method import Method, Nothing, Request
from shared.nameko_ext.container import ServiceContainer
from shared.nameko_ext.publishing import CONFIRMED, LOST, Confirmation
from shared.nameko_ext.requests import PARKING_TRIES, UNSPEAKABLE, Requests
from shared.nameko_ext.rpc import Rpc

PROPERTIES = {"content_type": "application/json", "reply_to": "somebody", "correlation_id": "1"}


class FakeDelivery:
    routing_key = "shop.sell"
    body = orjson.dumps({"args": [], "kwargs": {}})

    def __init__(self, *, redelivered=False):
        self.properties, self.redelivered, self.settled = PROPERTIES, redelivered, None
        self.is_lost = False

    @classmethod
    def of_nothing(cls, **known):
        delivery = cls(**known)
        delivery.body = b"{"
        return delivery

    @classmethod
    def of_frame(cls, *methods, redelivered=False):
        delivery = cls(redelivered=redelivered)
        delivery.routing_key = "shop.batch"
        calls = [FramedCall(str(n), method, Raw(b"{}"), {"request_id": f"r{n}"}) for n, method in enumerate(methods)]
        delivery.body = write_calls(calls)
        return delivery

    def ack(self):
        self.settled = "ack"

    def requeue(self):
        self.settled = "requeue"


class FakeContainer:
    """Has no worker: whatever comes waits."""

    def __init__(self):
        self.admitted = []
        self.waiting = []

    def admit(self, entrypoint, work):
        del entrypoint
        self.admitted.append(work)
        self.waiting.append(work)

    def waiting_for(self, entrypoint):
        return [work for work in self.waiting if work.door is entrypoint]

    def withdraw(self, work):
        self.waiting.remove(work)


class FakeConsumer:
    is_consuming = False

    def __init__(self):
        self.cancelled = False

    def cancel(self):
        self.cancelled = True


class FakeReplies:
    """Keeps what is posted."""

    def __init__(self):
        self.framed = {}
        self.announced = 0
        self.can_announce = True
        self.has_given_up = False
        self.lone = []

    def post(self, address, outcome):
        del address
        self.lone.append(outcome.code)

    def post_framed(self, reply_to, call_id, outcome, *, replayed):
        del reply_to, replayed
        self.framed[call_id] = outcome

    def settle(self, delivery):
        if not delivery.is_lost:
            delivery.ack()

    def announce(self, address):
        del address
        self.announced += 1
        told = Confirmation()
        told.settle(CONFIRMED if self.can_announce else LOST)
        return told

    def give_up_link(self):
        self.has_given_up = True


@pytest.fixture
def requests():
    requests = Requests()
    requests.container, requests.consumer, requests._service = FakeContainer(), FakeConsumer(), "shop"
    requests.replies = FakeReplies()
    requests.open_door("sell", Rpc(Method("shop", "sell", Request, Nothing, mutating=True)))
    requests.open_door("look", Rpc(Method("shop", "look", Request, Nothing)))
    requests.open_door("audit", Rpc(Method("shop", "audit", Request, Nothing, operator_only=True)))
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

    requests.receive(FakeDelivery(redelivered=True))

    assert len(requests.container.admitted) == 1


def test_what_was_given_back_and_comes_again_is_taken_anew(requests):
    requests.receive(FakeDelivery())
    requests.drain()

    requests.receive(FakeDelivery(redelivered=True))

    assert len(requests.container.admitted) == 2


def run(job):
    job.taken()
    job.run(SimpleNamespace(call_id_stack=[]), lambda request: {"done": request is not None})


def test_a_frame_is_acknowledged_when_the_last_of_its_calls_is_answered_in_any_order(requests):
    delivery = FakeDelivery.of_frame("look", "sell")
    requests.receive(delivery)
    look, sell = requests.container.admitted

    run(sell)
    assert (list(requests.replies.framed), delivery.settled) == (["1"], None)
    run(look)

    assert (sorted(requests.replies.framed), delivery.settled) == (["0", "1"], "ack")
    assert all(outcome.code is None for outcome in requests.replies.framed.values())


def test_a_bad_call_harms_none_of_those_it_came_with(requests):
    requests.receive(FakeDelivery.of_frame("look", "no_such_method", "look"))

    assert len(requests.container.admitted) == 2
    assert requests.replies.framed["1"].code == "MethodNotFound"


def test_what_is_for_operators_only_cannot_be_called_in_a_frame_where_the_broker_cannot_see_it(requests):
    requests.receive(FakeDelivery.of_frame("audit"))

    assert requests.container.admitted == []
    assert requests.replies.framed["0"].code == "MethodNotFound"


def test_a_caller_is_told_once_and_before_it_happens_that_a_change_of_its_frame_is_under_way(requests):
    requests.receive(FakeDelivery.of_frame("look", "sell", "sell"))
    look, *sales = requests.container.admitted

    run(look)
    assert requests.replies.announced == 0
    for sale in sales:
        run(sale)

    assert requests.replies.announced == 1


def test_a_change_of_which_its_caller_cannot_be_told_is_not_made(requests):
    requests.receive(FakeDelivery.of_frame("sell"))
    requests.replies.can_announce = False
    invoked = []

    requests.container.admitted[0].run(SimpleNamespace(call_id_stack=[]), invoked.append)

    assert (invoked, requests.replies.framed) == ([], {})
    assert requests.replies.has_given_up, "the frame would stay unacknowledged for ever"


def test_a_frame_of_which_nothing_has_begun_goes_to_others_and_one_that_has_begun_is_finished_here(requests):
    untouched, begun = FakeDelivery.of_frame("look", "look"), FakeDelivery.of_frame("look", "look")
    begun.properties = {**PROPERTIES, "correlation_id": "2", "reply_to": "another"}
    requests.receive(untouched)
    requests.receive(begun)
    first_begun = requests.container.admitted[2]
    requests.container.withdraw(first_begun)
    run(first_begun)

    requests.drain()

    assert (untouched.settled, begun.settled) == ("requeue", None)
    assert requests.container.waiting == [requests.container.admitted[3]]


class Shop:
    name = "shop"

    def sell(self, request):
        del request
        return Nothing()

    look = sell


@pytest.fixture
def hiring(requests):
    """Has workers, of which none has its turn before the test waits for something."""
    requests.container = ServiceContainer(Shop)
    for name, door in requests._doors.items():
        door.method_name = name
    return requests


def test_a_frame_whose_first_call_a_worker_has_taken_is_not_given_back_though_that_has_not_begun(hiring):
    requests = hiring
    delivery = FakeDelivery.of_frame("sell", "look")

    requests.receive(delivery)
    requests.drain()
    assert (requests.container.in_hand, delivery.settled) == (1, None)
    eventlet.sleep(0)
    eventlet.sleep(0)

    assert (sorted(requests.replies.framed), delivery.settled) == (["0", "1"], "ack")


def test_what_joins_a_call_that_a_worker_has_taken_is_not_given_back_either(hiring):
    requests = hiring
    first, again = FakeDelivery.of_frame("sell", "look"), FakeDelivery.of_frame("sell", "look", redelivered=True)
    requests.receive(first)
    lose(first)

    requests.receive(again)
    requests.drain()
    assert again.settled is None
    eventlet.sleep(0)
    eventlet.sleep(0)

    assert again.settled == "ack"


def lose(delivery):
    delivery.is_lost = True


def test_a_frame_that_comes_again_while_part_of_it_waits_is_answered_once_and_acknowledged(requests):
    first = FakeDelivery.of_frame("look", "sell")
    requests.receive(first)
    look, sell = requests.container.admitted
    run(look)
    lose(first)
    again = FakeDelivery.of_frame("look", "sell", redelivered=True)

    requests.receive(again)
    for job in [sell, *requests.container.admitted[2:]]:
        run(job)

    assert len(requests.container.admitted) == 3
    assert (first.settled, again.settled) == (None, "ack")


def test_a_frame_that_comes_again_while_part_of_it_runs_is_not_given_back_when_the_service_is_told_to_go(requests):
    first = FakeDelivery.of_frame("look", "sell")
    again = FakeDelivery.of_frame("look", "sell", redelivered=True)
    requests.receive(first)
    look, sell = requests.container.admitted

    def run_and_be_redelivered(request):
        del request
        lose(first)
        requests.receive(again)
        requests.drain()

    requests.container.withdraw(look)
    look.taken()
    look.run(SimpleNamespace(call_id_stack=[]), run_and_be_redelivered)
    assert again.settled is None
    run(sell)

    assert again.settled == "ack"


@pytest.mark.parametrize("redelivered", [False, True])
def test_frames_that_reuse_ids_lose_no_call_and_leave_no_message_behind(requests, redelivered):
    deliveries = [FakeDelivery.of_frame(method, redelivered=redelivered) for method in ("look", "sell", "look")]
    for delivery in deliveries:
        requests.receive(delivery)

    for job in requests.container.admitted:
        run(job)

    assert [delivery.settled for delivery in deliveries] == ["ack"] * 3


def test_a_frame_in_which_two_calls_have_the_same_id_is_refused_whole(requests):
    delivery = FakeDelivery.of_frame("look")
    delivery.body = delivery.body.replace(b'"calls":[', b'"calls":[' + delivery.body[len(b'{"calls":[') : -2] + b",")
    parked = []
    requests._park_and_answer = lambda *arguments: parked.append(arguments[2])

    requests.receive(delivery)
    eventlet.sleep(0)

    assert parked == ["a frame in which two calls have the same id"]


def test_all_bad_calls_of_a_frame_are_parked_in_one_message_before_it_is_acknowledged(requests):
    parked = []
    requests.broker = SimpleNamespace(try_park=lambda *_, reason, body, **__: parked.append((reason, body)) or True)
    delivery = FakeDelivery.of_frame("nothing", "look", "nothing")

    requests.receive(delivery)
    run(requests.container.admitted[0])
    assert delivery.settled is None
    eventlet.sleep(0)

    ((reason, body),) = parked
    assert reason.startswith("2 bad calls, the first: MethodNotFound")
    assert [call.id for call in read_calls(body)] == ["0", "2"]
    assert delivery.settled == "ack"


@pytest.mark.parametrize("mates", [(), ("look",)], ids=["alone", "with a good call"])
def test_bad_calls_that_would_grow_when_they_are_written_anew_are_parked_as_their_frame_came(requests, mates):
    tried = parking(requests)
    delivery = FakeDelivery.of_frame("nothing", *mates)
    numbers = b",".join([b"1e15"] * 1000)
    delivery.body = delivery.body.replace(b'"context":{', b'"context":{"a":[' + numbers + b"],", 1)

    requests.receive(delivery)
    turns()

    ((body, reason),) = [(kept["body"], kept["reason"]) for kept in tried]
    assert (body or delivery.body) == delivery.body
    assert reason.startswith("MethodNotFound")


@pytest.fixture
def hasty(monkeypatch):
    monkeypatch.setattr("shared.nameko_ext.requests.PARKING_PAUSE_SECONDS", 0)


def a_broker(try_park, *, is_open=True):
    return SimpleNamespace(try_park=try_park, publisher=SimpleNamespace(link=SimpleNamespace(is_open=is_open)))


def parking(requests, *, refused=0, is_open=True):
    """A broker that takes what is parked after so many tries."""
    said, tried = chain([False] * refused, cycle([True])), []
    requests.broker = a_broker(lambda *_, **kept: tried.append(kept) or next(said), is_open=is_open)
    return tried


def turns():
    for _ in range(2 * PARKING_TRIES):
        eventlet.sleep(0)


@pytest.mark.usefixtures("hasty")
def test_bad_calls_of_a_frame_are_parked_as_soon_as_the_broker_takes_them_and_it_is_not_acknowledged_before(requests):
    tried = parking(requests, refused=2)
    delivery = FakeDelivery.of_frame("nothing", "look")
    requests.receive(delivery)
    run(requests.container.admitted[0])
    assert delivery.settled is None

    turns()

    assert len(tried) == 3
    assert (delivery.settled, requests.counts["given_up"]) == ("ack", 0)


@pytest.mark.usefixtures("hasty")
def test_bad_calls_that_the_broker_never_takes_are_given_up_and_counted(requests):
    tried = parking(requests, refused=PARKING_TRIES)
    delivery = FakeDelivery.of_frame("nothing", "nothing")

    requests.receive(delivery)
    turns()

    assert len(tried) == PARKING_TRIES
    assert (delivery.settled, requests.counts["given_up"]) == ("ack", 2)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("last_try", [1, PARKING_TRIES])
def test_bad_calls_whose_frame_the_broker_took_back_come_again_with_it(requests, last_try):
    delivery, tried = FakeDelivery.of_frame("nothing"), []

    def fail(*_, reason, **__):
        tried.append(reason)
        delivery.is_lost = len(tried) == last_try
        return False

    requests.broker = a_broker(fail)

    requests.receive(delivery)
    turns()

    assert (len(tried), requests.counts["given_up"]) == (last_try, 0)


@pytest.mark.usefixtures("hasty")
def test_a_lone_bad_call_that_the_broker_never_takes_is_answered_given_up_and_counted(requests):
    tried = parking(requests, refused=PARKING_TRIES)
    delivery = FakeDelivery.of_nothing()

    requests.receive(delivery)
    turns()

    assert (len(tried), requests.replies.lone) == (PARKING_TRIES, ["MalformedRequest"])
    assert (delivery.settled, requests.counts["given_up"]) == ("ack", 1)


@pytest.mark.usefixtures("hasty")
def test_a_lone_bad_call_is_parked_as_soon_as_the_broker_takes_it_and_its_caller_does_not_wait_for_that(requests):
    answered = []

    def refuse_once(*_, **__):
        answered.append(list(requests.replies.lone))
        return len(answered) > 1

    requests.broker = a_broker(refuse_once)
    delivery = FakeDelivery.of_nothing()

    requests.receive(delivery)
    turns()

    assert answered == [["MalformedRequest"]] * 2
    assert (delivery.settled, requests.counts["given_up"]) == ("ack", 0)


@pytest.mark.usefixtures("hasty")
def test_a_lone_bad_call_that_the_broker_took_back_comes_again(requests):
    delivery = FakeDelivery.of_nothing()
    requests.broker = a_broker(lambda *_, **__: lose(delivery))

    requests.receive(delivery)
    turns()

    assert (delivery.settled, requests.counts["given_up"]) == (None, 0)


def test_what_cannot_be_parked_leaves_most_places_to_good_calls(requests):
    """Nobody hurries here: whoever waits for another try still does so at the end."""
    tried, deliveries = [], [FakeDelivery.of_nothing() for _ in range(12)]
    requests._most_unparked = 3

    def refuse(delivery, **_):
        tried.append(delivery)
        eventlet.sleep(0)
        return False

    def bring(some):
        for delivery in some:
            requests.receive(delivery)
        for _ in range(3):
            eventlet.sleep(0)
        return len(tried), requests.counts["given_up"]

    requests.broker = a_broker(refuse)

    at_first = bring(deliveries[:8])
    later = bring(deliveries[8:])

    assert at_first == (8, 5)
    assert later == (8, 9), "a try takes a place for seconds, too"
    assert [delivery.settled for delivery in deliveries].count(None) == 3


@pytest.mark.parametrize("refused", [0, 12])
def test_a_crowd_of_bad_calls_is_given_a_try_each_while_the_broker_takes_them_or_its_link_comes_back(
    requests, refused, monkeypatch
):
    monkeypatch.setattr("shared.nameko_ext.requests.PARKING_PAUSE_SECONDS", 0)
    parking(requests, refused=refused, is_open=not refused)
    deliveries = [FakeDelivery.of_nothing() for _ in range(12)]

    for delivery in deliveries:
        requests.receive(delivery)
    turns()

    assert {delivery.settled for delivery in deliveries} == {"ack"}
    assert requests.counts["given_up"] == 0


def unspeakable(*_):
    raise RuntimeError("told by somebody who cannot speak either")


@pytest.mark.parametrize("methods", [(), ("look",)])
def test_a_fault_that_cannot_even_be_told_ends_no_reading(requests, monkeypatch, methods):
    monkeypatch.setattr("shared.nameko_ext.requests._meaning_of", unspeakable)
    tried = parking(requests)
    requests.replies.post = lambda address, outcome: requests.replies.framed.update({address.correlation_id: outcome})
    delivery = FakeDelivery.of_frame("nothing", *methods)
    if not methods:
        delivery.body = b"[]"

    requests.receive(delivery)
    eventlet.sleep(0)

    assert [kept["reason"] for kept in tried] == [UNSPEAKABLE]
    assert "MalformedRequest" in {outcome.code for outcome in requests.replies.framed.values()}
