"""What was said of a change is said again, until a day has passed, whatever became of the cart, the caller or Redis."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from rpc_services.cart import answers as module
from rpc_services.cart.answers import LONGEST_RUN, MEMORY, MOST_KEPT, Answers
from rpc_services.cart.domain import Owner
from rpc_services.cart.shards import Shards
from shared.contracts.cart import CartEmpty, LimitExceeded
from shared.contracts.refusals import KeyReused, OutcomeUnknown, StillRunning, Unavailable
from shared.messaging.call import Call
from shared.values.identifiers import new_id
from tests.fakes.clock import FakeClock


class Work:
    """Counts how often it was done; each run has another answer."""

    def __init__(self, fault=None):
        self.runs, self.fault = 0, fault

    def __call__(self):
        self.runs += 1
        if self.fault:
            raise self.fault
        return {"run": self.runs, "lines": ["\u00e9", 1, None]}


def a_call(operation_id=None, fingerprint="f", **facts):
    return Call(request_id="r", operation_id=operation_id or f"user:me/{new_id()}", fingerprint=fingerprint, **facts)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def answers(shards, clock):
    return Answers(shards, clock=clock)


@pytest.fixture
def owner():
    return Owner.user(new_id())


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", timedelta(0))


def test_a_repetition_is_not_run_and_is_marked(answers, owner):
    work, call = Work(), a_call()
    again = a_call(call.operation_id)

    assert (
        answers.once(owner, call, work) == answers.once(owner, again, work) == {"run": 1, "lines": ["\u00e9", 1, None]}
    )
    assert (call.marks.replayed, again.marks.replayed, work.runs) == (False, True, 1)


def test_a_refusal_is_repeated_with_its_details(answers, owner):
    work, call = Work(LimitExceeded(product_id=1, wanted=100, limit=99)), a_call()

    for _ in range(2):
        with pytest.raises(LimitExceeded) as refused:
            answers.once(owner, call, work)

    assert refused.value.details == {"product_id": 1, "wanted": 100, "limit": 99}
    assert work.runs == 1


@pytest.mark.parametrize(
    "fault", [Unavailable(), OutcomeUnknown(), ZeroDivisionError()], ids=["away", "unknown", "a fault of ours"]
)
def test_what_was_no_answer_is_run_again(answers, owner, fault):
    work, call = Work(fault), a_call()
    with pytest.raises(type(fault)):
        answers.once(owner, call, work)

    work.fault = None

    assert answers.once(owner, call, work)["run"] == 2


def test_another_request_under_the_same_key_is_refused_even_while_the_first_runs(answers, owner):
    call = a_call()
    other = a_call(call.operation_id, "another")

    def meanwhile():
        with pytest.raises(KeyReused):
            answers.once(owner, other, Work())
        return 1

    answers.once(owner, call, meanwhile)
    with pytest.raises(KeyReused):
        answers.once(owner, other, Work())


def test_while_the_first_runs_others_are_told_so_unless_the_broker_brings_it_again(answers, owner, impatient):
    call, work = a_call(), Work()

    def meanwhile():
        with pytest.raises(StillRunning) as busy:
            answers.once(owner, a_call(call.operation_id), work)
        assert busy.value.details == {"retry_after": 1}
        return answers.once(owner, a_call(call.operation_id, redelivered=True), work)

    assert answers.once(owner, call, meanwhile)["run"] == 1
    assert work.runs == 1


def test_thirty_at_once_are_run_once_and_answered_the_same(answers, owner, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", timedelta(seconds=20))
    work, operation_id = Work(), a_call().operation_id

    with ThreadPoolExecutor(10) as threads:
        given = list(threads.map(lambda _: answers.once(owner, a_call(operation_id), work), range(30)))

    assert [one["run"] for one in given] == [1] * 30


def test_the_mark_of_a_process_that_died_ends_by_itself(answers, owner, shards):
    call = a_call()
    answers._look(shards.client_for(f"cart:{owner.key}"), module._places(owner, call.operation_id), "f")

    left = shards.client_for(f"cart:{owner.key}").pttl(module._places(owner, call.operation_id).running)

    assert 0 < left <= LONGEST_RUN.total_seconds() * 1000


def test_what_carries_no_key_is_not_kept(answers, owner):
    work = Work()

    for call in (a_call("request/1", None), a_call("request/1", None), Call(request_id="r")):
        answers.once(owner, call, work)
    answers.once(None, a_call("x"), work)

    assert work.runs == 4


def test_answers_are_kept_for_a_day_and_no_longer(answers, owner, clock, shards):
    work, call = Work(), a_call()
    answers.once(owner, call, work)

    clock.advance(MEMORY - timedelta(minutes=1))
    assert answers.once(owner, call, work)["run"] == 1
    clock.advance(timedelta(minutes=2))
    assert answers.once(owner, call, work)["run"] == 2

    client = shards.client_for(f"cart:{owner.key}")
    for name in (f"cart-answers:{owner.key}", f"cart-answers-order:{owner.key}"):
        assert 0 < client.ttl(name) <= MEMORY.total_seconds()


def test_of_one_cart_so_many_are_kept_and_the_oldest_go_first(answers, owner, shards):
    calls, work = [a_call() for _ in range(MOST_KEPT + 1)], Work()
    for call in calls:
        answers.once(owner, call, work)

    assert shards.client_for(f"cart:{owner.key}").hlen(f"cart-answers:{owner.key}") == MOST_KEPT
    assert answers.once(owner, calls[1], work)["run"] == 2
    assert answers.once(owner, calls[0], work)["run"] == MOST_KEPT + 2


def test_two_carts_may_have_the_same_key(answers, owner):
    work, call = Work(), a_call()

    answers.once(owner, call, work)
    answers.once(Owner.user(new_id()), call, work)

    assert work.runs == 2


def test_without_redis_nothing_is_run(clock, owner):
    gone = Shards(["redis://127.0.0.1:1/0"])
    work = Work()

    with pytest.raises(Unavailable):
        Answers(gone, clock=clock).once(owner, a_call(), work)

    assert work.runs == 0


def test_an_answer_that_cannot_be_kept_is_not_told(shards, clock, owner):
    class Losing(Answers):
        def _run(self, client, places, fingerprint, work):
            del client
            gone = Shards(["redis://127.0.0.1:1/0"]).clients[0]
            return super()._run(gone, places, fingerprint, work)

    with pytest.raises(OutcomeUnknown):
        Losing(shards, clock=clock).once(owner, a_call(), Work())
    with pytest.raises(Unavailable):
        Losing(shards, clock=clock).once(owner, a_call(), Work(CartEmpty()))
