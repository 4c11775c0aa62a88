"""What a caller is told of a call that failed, the first time and when the broker brings it again."""

from types import SimpleNamespace

import orjson
import pytest

from shared.contracts.catalog import OutOfStock
from shared.contracts.method import Method, Nothing, Request
from shared.contracts.refusals import DeadlinePassed, StillRunning, Unavailable
from shared.messaging.call import Call
from shared.nameko_ext.serving import Job


class Source:
    """Keeps what is answered."""

    batch_size = 1
    key = ("me", "1")
    is_lost = False
    code = "nothing"

    def hold(self):
        pass

    def begin(self, *, changing):
        del changing
        return True

    def answer(self, outcome, *, replayed):
        del replayed
        assert orjson.loads(outcome.error)["exc_args"][0] == outcome.code
        self.code = outcome.code


class Door:
    def __init__(self, refusal, *, mutating):
        self._refusal, self.method = refusal, Method("shop", "sell", Request, Nothing, mutating=mutating)

    def read(self):
        raise self._refusal


def code_told(refusal, *, redelivered, mutating=True, lost_meanwhile=False):
    source, door = Source(), Door(refusal, mutating=mutating)
    call = Call(request_id="r", method="shop.sell", redelivered=redelivered)
    job = Job(SimpleNamespace(finished=id), door, source, call, door.read)
    source.is_lost = False
    job._read_request = lambda: setattr(source, "is_lost", lost_meanwhile) or door.read()
    job.run(SimpleNamespace(call_id_stack=[]), invoke=id)
    return source.code


@pytest.mark.parametrize("refusal", [Unavailable(retry_after=1), DeadlinePassed(), StillRunning()])
def test_nobody_says_that_nothing_was_changed_when_an_earlier_run_may_have_changed_it(refusal):
    assert code_told(refusal, redelivered=True) == "outcome.unknown"


@pytest.mark.parametrize("refusal", [Unavailable(retry_after=1), DeadlinePassed()])
def test_a_change_that_came_once_and_was_not_done_is_said_not_to_be_done(refusal):
    assert code_told(refusal, redelivered=False) == refusal.code


def test_a_read_changes_nothing_however_often_it_comes():
    assert code_told(Unavailable(retry_after=1), redelivered=True, mutating=False) == "service.unavailable"


def test_a_rule_of_the_shop_says_the_same_however_often_it_is_asked():
    assert code_told(OutOfStock(shortages=[]), redelivered=True) == "catalog.out_of_stock"


@pytest.mark.parametrize("refusal", [Unavailable(retry_after=1), StillRunning()])
def test_a_run_whose_call_somebody_else_has_by_now_does_not_answer_that_it_could_not(refusal):
    assert code_told(refusal, redelivered=False, lost_meanwhile=True) == "nothing"


def test_a_run_whose_call_somebody_else_has_by_now_answers_what_it_found():
    assert code_told(OutOfStock(shortages=[]), redelivered=False, lost_meanwhile=True) == "catalog.out_of_stock"


def test_what_was_taken_back_while_it_waited_is_not_run():
    source, door = Source(), Door(Unavailable(retry_after=1), mutating=False)
    job = Job(SimpleNamespace(finished=id), door, source, Call(request_id="r", method="shop.sell"), door.read)
    source.is_lost = True

    job.run(SimpleNamespace(call_id_stack=[]), invoke=id)

    assert source.code == "nothing"
