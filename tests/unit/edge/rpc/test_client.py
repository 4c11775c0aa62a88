# ruff: noqa: ARG002 - a fake takes what the real one takes
import asyncio
import gc
import json
import weakref
from types import SimpleNamespace

import pytest
from msgspec import Raw

from edge.rpc.calls import CallContext, Deadline
from edge.rpc.client import RpcClient
from edge.rpc.consumers import Consumers
from edge.rpc.failures import Blame, CallFailure, Forbidden, NotExecuted, OutcomeUnknown, RemoteRefusal
from edge.rpc.pending import Pending
from edge.rpc.stock import StockServices
from shared.contracts.frames import REPLIES, FramedReply, read_calls, write_replies
from shared.contracts.method import Method, Request
from shared.contracts.refusals import KeyReused, StillRunning, Unavailable
from shared.resilience.stock import STOCK_SECONDS


class Anything(Request):
    pass


READ = Method("catalog", "get_product", Anything, None)
CHANGE = Method("catalog", "create_product", Anything, None, mutating=True)
SECRET = Method("catalog", "issue_tokens", Anything, None, mutating=True, keeps_answer=False)
LOST = OutcomeUnknown("lost", blame=Blame.BROKER)


class AtOnce:
    def uniform(self, a: float, b: float) -> float:
        return 0.0


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Lost(OutcomeUnknown):
    """One that can be watched."""

    def __init__(self) -> None:
        super().__init__("the link was lost", blame=Blame.BROKER)


class FakeLink:
    """Publishing does what the script says; after it, calls are answered."""

    reply_to = "replies"

    def __init__(self, pending: Pending, *script: CallFailure) -> None:
        self.pending = pending
        self.script = list(script)
        self.published = 0
        self.answers_first = False
        self.refusal = None

    async def publish(self, body, routing_key, properties, *, patience):
        self.published += 1
        answer = (
            (Raw(b"null"), Raw(json.dumps(self.refusal).encode())) if self.refusal else (Raw(b'"done"'), Raw(b"null"))
        )
        replies = [FramedReply(call.id, *answer) for call in read_calls(body)]
        known = SimpleNamespace(correlation_id=None, headers={}, message_type=REPLIES)
        message = SimpleNamespace(body=write_replies(replies), header=SimpleNamespace(properties=known))
        if self.answers_first:
            self.pending.resolve(message)
        if self.script:
            raise self.script.pop(0)
        self.pending.resolve(message)


def a_client(*script: CallFailure) -> tuple[RpcClient, FakeLink]:
    pending = Pending(limit=10)
    link = FakeLink(pending, *script)
    broker = SimpleNamespace(link=lambda: link)
    client = RpcClient(broker=broker, pending=pending, consumers=Consumers(["catalog"]), dice=AtOnce())
    return client, link


def call(client: RpcClient, method: Method = READ, *, seconds: float = 5.0, **known: str):
    context = CallContext(request_id="r", deadline=Deadline.after(seconds), route="t", **known)
    return asyncio.run(client.call(method, {}, context=context))


def test_a_call_is_answered():
    client, link = a_client()

    assert call(client).result == "done"
    assert link.published == 1


@pytest.mark.parametrize(
    ("method", "failure", "attempts"),
    [
        (READ, NotExecuted("nacked", blame=Blame.SERVICE), 2),
        (READ, OutcomeUnknown("lost", blame=Blame.BROKER), 2),
        (CHANGE, NotExecuted("nacked", blame=Blame.SERVICE), 2),
        (CHANGE, OutcomeUnknown("lost", blame=Blame.BROKER), 1),
        (READ, NotExecuted("shed"), 1),
    ],
)
def test_only_what_may_be_repeated_is_repeated_and_only_once(method, failure, attempts):
    client, link = a_client(failure, failure, failure)

    with pytest.raises(type(failure)):
        call(client, method)

    assert link.published == attempts


def test_a_second_try_that_works_is_as_good_as_a_first():
    client, _ = a_client(OutcomeUnknown("lost", blame=Blame.BROKER))

    assert call(client).result == "done"


KEYED = {"operation_id": "user/key", "fingerprint": "of the request"}


def test_a_change_with_a_key_of_which_nobody_knows_is_tried_again_for_both_have_one_effect():
    client, link = a_client(LOST)

    assert call(client, CHANGE, **KEYED).result == "done"
    assert link.published == 2


@pytest.mark.parametrize(
    ("method", "known"),
    [(CHANGE, {"operation_id": "request/1"}), (SECRET, KEYED)],
    ids=["without a key", "of whose answer nothing is kept"],
)
def test_no_other_change_of_which_nobody_knows_is_tried_again(method, known):
    client, link = a_client(LOST)

    with pytest.raises(OutcomeUnknown):
        call(client, method, **known)
    assert link.published == 1


@pytest.mark.parametrize("forgotten", [False, True])
def test_what_stock_nameko_may_have_done_is_not_tried_again(forgotten):
    client, link = a_client()
    client.stock = StockServices(clock=(clock := Clock()))
    client.stock.note("catalog")
    clock.now += STOCK_SECONDS if forgotten else 0
    sent = []

    async def lose(body, *_, **__):
        sent.append(body)
        raise LOST

    link.publish = lose

    with pytest.raises(OutcomeUnknown):
        call(client, CHANGE, **KEYED)
    assert len(sent) == 1


class StockLink(FakeLink):
    """Stock Nameko at its other end, which knows no method ``batch``; or a broker that forbids frames."""

    def __init__(self, pending: Pending, *, is_forbidden: bool = False) -> None:
        super().__init__(pending)
        self.is_forbidden = is_forbidden
        self.keys: list[str] = []

    async def publish(self, body, routing_key, properties, *, patience):
        self.keys.append(routing_key)
        is_frame = routing_key.endswith(".batch")
        if is_frame and self.is_forbidden:
            raise Forbidden("the broker forbids this call to the edge")
        error = {"exc_type": "MethodNotFound", "exc_path": "nameko.exceptions.MethodNotFound", "exc_args": []}
        answer = {"result": None, "error": error} if is_frame else {"result": "alone", "error": None}
        known = SimpleNamespace(correlation_id=properties.correlation_id, headers={}, message_type=None)
        message = SimpleNamespace(body=json.dumps(answer).encode(), header=SimpleNamespace(properties=known))
        self.pending.resolve(message)


@pytest.mark.parametrize(
    ("is_forbidden", "after_a_while"), [(False, ["batch", "get_product"]), (True, ["get_product"])]
)
def test_frames_are_tried_again_after_a_while_unless_they_are_forbidden(is_forbidden, after_a_while):
    pending = Pending(limit=10)
    link = StockLink(pending, is_forbidden=is_forbidden)
    broker = SimpleNamespace(link=lambda: link)
    client = RpcClient(broker=broker, pending=pending, consumers=Consumers(["catalog"]), dice=AtOnce())
    client.stock = StockServices(clock=(clock := Clock()))

    def calls(*, seconds):
        clock.now += seconds
        link.keys.clear()
        assert call(client).result == "alone"
        return [key.removeprefix("catalog.") for key in link.keys]

    assert calls(seconds=0) == ["batch", "get_product"]
    assert calls(seconds=STOCK_SECONDS - 1) == ["get_product"]
    assert calls(seconds=2) == after_a_while
    assert calls(seconds=STOCK_SECONDS - 1) == ["get_product"]


def test_what_nobody_knows_stays_so_though_the_second_try_surely_did_nothing():
    client, link = a_client(LOST, NotExecuted("nacked", blame=Blame.SERVICE))

    with pytest.raises(OutcomeUnknown):
        call(client, CHANGE, **KEYED)
    assert link.published == 2


def test_a_change_of_which_nobody_knows_after_two_tries_leaves_nothing_for_the_collector(monkeypatch):
    client, _ = a_client()
    script = [Lost(), NotExecuted("nacked", blame=Blame.SERVICE)]

    async def once(*_):
        raise script.pop(0)

    async def scenario():
        context = CallContext(request_id="r", deadline=Deadline.after(300), route="t", **KEYED)
        try:
            await client.call(CHANGE, {}, context=context)
        except Lost as told:
            failure = weakref.ref(told)
        return failure()

    monkeypatch.setattr(client, "_once", once)
    gc.collect()
    gc.disable()
    try:
        assert asyncio.run(scenario()) is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("refusal", "told"),
    [(Unavailable(), OutcomeUnknown), (StillRunning(), OutcomeUnknown), (KeyReused(), RemoteRefusal)],
)
def test_a_refusal_of_the_second_try_counts_only_if_it_is_the_answer_of_both(refusal, told):
    client, link = a_client(LOST)
    link.refusal = refusal.to_wire()

    with pytest.raises(told):
        call(client, CHANGE, **KEYED)
    assert link.published == 2


def test_when_everything_fails_only_a_tenth_is_repeated():
    client, link = a_client(*[NotExecuted("nacked", blame=Blame.SERVICE)] * 1000)

    for _ in range(200):
        with pytest.raises(NotExecuted):
            call(client)

    assert link.published <= 200 + 10 + 20


def test_a_call_whose_deadline_has_passed_is_never_sent():
    client, link = a_client()

    with pytest.raises(NotExecuted):
        call(client, seconds=0.0)

    assert link.published == 0


def test_an_answer_counts_even_when_its_confirm_was_lost():
    client, link = a_client(OutcomeUnknown("no confirm", blame=Blame.BROKER))
    link.answers_first = True

    assert call(client, CHANGE).result == "done"


def test_a_service_that_nobody_runs_is_not_called():
    client, link = a_client()
    client._consumers.note("catalog", 0)

    with pytest.raises(NotExecuted):
        call(client)

    assert link.published == 0
