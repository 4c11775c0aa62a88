"""What was said of a change is said again, until a day has passed, whatever became of the cart or the caller."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest
import redis

from edge.problems import PROBLEMS
from rpc_services.cart import answers as module
from rpc_services.cart.answers import LONGEST_RUN, Answers
from rpc_services.cart.domain import KeysUsedUp, Operation, Owner, Verb
from rpc_services.cart.records import MEMORY, places_of
from rpc_services.cart.shards import Shards
from shared.contracts.cart import CartEmpty, LimitExceeded
from shared.contracts.refusals import NOT_ANSWERS, KeyReused, OutcomeUnknown, StillRunning, Unavailable
from shared.messaging.call import Call
from shared.values.identifiers import new_id
from tests.fakes.clock import FakeClock
from tests.unit.rpc_services.cart.carts_behaviour import adding, editing


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
    client, places = shards.client_for(owner.key), places_of(owner, call.operation_id)
    answers._look(client, places, "f")

    left = client.pttl(places.running)

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

    places = places_of(owner, call.operation_id)
    for name in (places.records, places.order):
        assert 0 < shards.client_for(owner.key).ttl(name) <= MEMORY.total_seconds()


def test_an_answer_is_known_after_any_number_of_others(answers, owner):
    calls, work = [a_call() for _ in range(300)], Work()
    for call in calls:
        answers.once(owner, call, work)

    assert answers.once(owner, calls[0], work)["run"] == 1


def test_each_answer_goes_when_its_own_day_has_passed_and_its_room_is_free_again(answers, owner, clock, shards):
    first, second, third = (a_call() for _ in range(3))
    work, records = Work(), places_of(owner, first.operation_id).records
    client = shards.client_for(owner.key)
    answers.once(owner, first, work)
    of_one = int(client.hget(records, "bytes"))

    clock.advance(timedelta(hours=20))
    answers.once(owner, second, work)
    clock.advance(timedelta(hours=5))
    answers.once(owner, third, work)

    assert client.hlen(records) == 1 + 2
    assert int(client.hget(records, "bytes")) == 2 * of_one
    assert answers.once(owner, second, work)["run"] == 2
    assert answers.once(owner, first, work)["run"] == 4


class TestWithoutRoom:
    """As much is remembered of a cart as may be."""

    @pytest.fixture(autouse=True)
    def earlier(self, answers, owner, clock, monkeypatch):
        calls = [a_call(), a_call()]
        for call in calls:
            answers.once(owner, call, Work())
            clock.advance(timedelta(hours=1))
        monkeypatch.setattr(module, "MOST_BYTES", 2 * 250)
        return calls

    def test_a_new_key_is_refused_until_the_oldest_has_had_its_day(self, answers, owner, clock):
        work, call = Work(), a_call()

        with pytest.raises(KeysUsedUp) as refused:
            answers.once(owner, call, work)
        assert (work.runs, refused.value.details) == (0, {"retry_after": 22 * 3600})

        clock.advance(timedelta(seconds=refused.value.details["retry_after"]))
        assert answers.once(owner, call, work)["run"] == 1

    def test_what_was_said_is_said_again(self, answers, owner, earlier):
        for call in earlier:
            assert answers.once(owner, call, Work())["run"] == 1

    def test_what_has_no_key_and_what_concerns_another_cart_is_done(self, answers, owner):
        assert answers.once(owner, a_call(fingerprint=None), Work())["run"] == 1
        assert answers.once(Owner.user(new_id()), a_call(), Work())["run"] == 1

    def test_what_changed_the_cart_but_was_not_answered_is_answered(self, answers, owner, carts):
        call = a_call()
        carts.change(owner, adding(operation=Operation(id=call.operation_id, fingerprint="f")))

        assert answers.once(owner, call, Work())["run"] == 1

    def test_it_is_told_as_asking_too_often_which_says_that_nothing_was_changed_and_when_to_come_back(self):
        problem = PROBLEMS[KeysUsedUp.code]

        assert (problem.status, problem.retryable) == (429, True)
        assert KeysUsedUp not in NOT_ANSWERS


def test_the_effect_and_the_answer_are_one_record_on_the_server_of_the_cart(answers, carts, shards):
    for owner in (Owner.user(new_id()) for _ in range(10)):
        call = a_call()
        operation = Operation(id=call.operation_id, fingerprint="f")

        answers.once(owner, call, partial(version_after, carts, owner, operation))

        client, places = shards.client_for(owner.key), places_of(owner, call.operation_id)
        record = client.hget(places.records, places.operation)
        assert record.index("|") == 16
        assert len(record) > 16 + 1
        assert client.hget(places.records, "bytes") == str(len(record) + 250)
        assert client.hget(f"cart:{owner.key}", "operations") == ""


def version_after(carts, owner, operation):
    return carts.change(owner, adding(operation=operation)).state.version


def test_a_process_that_died_before_it_answered_leaves_the_effect_known(answers, owner, carts):
    call = a_call()
    operation = Operation(id=call.operation_id, fingerprint="f")
    carts.change(owner, adding(operation=operation))
    carts.change(owner, editing(Verb.SET, quantity=7))

    def change():
        return [line.quantity for line in carts.change(owner, adding(operation=operation)).state.lines]

    assert answers.once(owner, call, change) == [7]


@pytest.mark.parametrize("redelivered", [False, True], ids=["repeated", "redelivered"])
def test_after_a_loss_of_all_answers_the_cart_is_told_as_it_is_and_changed_no_more(
    answers, owner, carts, servers, redelivered
):
    call = a_call()
    change = partial(version_after, carts, owner, Operation(id=call.operation_id, fingerprint="f"))
    answers.once(owner, call, change)
    carts.change(owner, editing(Verb.SET, quantity=7))
    for server in servers:
        with server.client as client:
            client.flushall()

    for _ in range(2):
        again = a_call(call.operation_id, redelivered=redelivered)
        assert answers.once(owner, again, change) == 2

    assert [line.quantity for line in carts.look(owner).lines] == [7]


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


@pytest.mark.parametrize("is_late", [False, True], ids=["before it was kept", "after it was kept"])
def test_a_connection_that_breaks_while_an_answer_is_kept_costs_nobody_anything(answers, owner, monkeypatch, is_late):
    keep, breaks = answers._keep_answer, iter([True])

    def breaking(**given):
        is_first = next(breaks, False)
        if is_late or not is_first:
            keep(**given)
        if is_first:
            raise redis.ConnectionError("Connection closed by server.")

    monkeypatch.setattr(answers, "_keep_answer", breaking)
    work, call = Work(), a_call()

    first, again = answers.once(owner, call, work), answers.once(owner, a_call(call.operation_id), work)

    assert first == again
    assert work.runs == 1


@pytest.mark.parametrize("fault", [redis.ConnectionError("gone"), redis.TimeoutError("slow")], ids=["gone", "slow"])
def test_a_server_that_takes_no_answer_is_not_asked_for_ever(answers, owner, monkeypatch, fault):
    asked = []

    def failing(**_given):
        asked.append(fault)
        raise fault

    monkeypatch.setattr(answers, "_keep_answer", failing)

    with pytest.raises(OutcomeUnknown):
        answers.once(owner, a_call(), Work())

    assert len(asked) == (2 if isinstance(fault, redis.ConnectionError) else 1)


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
