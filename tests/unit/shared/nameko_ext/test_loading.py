from datetime import timedelta

import eventlet
import pytest
import structlog

from shared.contracts.refusals import DeadlinePassed, Internal, Unavailable
from shared.messaging.call import Call, current, serving
from shared.nameko_ext.loading import Loader
from shared.resilience.coalescing import CoalescingPolicy
from shared.resilience.deadline import Deadline

ONE = CoalescingPolicy(batches=1)


class Shelf:
    """Knows numbers up to 99, and its moods; every question is remembered."""

    def __init__(self):
        self.asked = []
        self.calls = []
        self.fault = None
        self.seconds = 0.0

    def load(self, keys):
        self.asked.append(list(keys))
        self.calls.append(current())
        eventlet.sleep(self.seconds)
        if self.fault is not None:
            raise self.fault
        return {key: self._look(key) for key in keys if key < 100}

    def _look(self, key):
        return Unavailable(retry_after=key) if key == 13 else f"thing {key}"


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def loader(shelf):
    loader = Loader(shelf.load, policy=ONE)
    yield loader
    loader.close()


def outcome_of(get, key, seconds=None):
    deadline = None if seconds is None else Deadline.after(timedelta(seconds=seconds))
    try:
        with serving(Call(request_id=f"of {key}", user_id="u", deadline=deadline)):
            return get(key)
    except Exception as fault:
        return fault


def all_at_once(loader, keys, **asked):
    return [thread.wait() for thread in [eventlet.spawn(outcome_of, loader.get, key, **asked) for key in keys]]


def test_single_reads_that_meet_are_one_question(shelf, loader):
    assert all_at_once(loader, range(20, 70)) == [f"thing {number}" for number in range(20, 70)]
    assert shelf.asked == [list(range(20, 70))]


def test_the_same_is_asked_for_once(shelf, loader):
    assert all_at_once(loader, [7] * 20) == ["thing 7"] * 20
    assert shelf.asked == [[7]]


def test_what_is_not_there_harms_nobody_else(loader):
    assert all_at_once(loader, [1, 404, 2]) == ["thing 1", None, "thing 2"]


def test_what_cannot_be_had_harms_nobody_else(loader):
    first, refused, again, last = all_at_once(loader, [1, 13, 13, 2])

    assert (first, last) == ("thing 1", "thing 2")
    assert isinstance(refused, Unavailable)
    assert refused.details == {"retry_after": 13}
    assert refused is not again


@pytest.mark.parametrize("fault", [Unavailable(retry_after=1), DeadlinePassed()])
def test_what_refuses_a_question_refuses_each_who_asked(shelf, loader, fault):
    shelf.fault = fault

    refusals = all_at_once(loader, [1, 2])

    assert [type(refusal) for refusal in refusals] == [type(fault)] * 2
    assert refusals[0].details == fault.details
    assert refusals[0] is not refusals[1]


def test_a_fault_of_our_own_is_logged_once_and_told_as_such(shelf, loader):
    shelf.fault = KeyError("a secret from inside")

    with structlog.testing.capture_logs() as lines:
        refusals = all_at_once(loader, [1, 2, 3])

    assert [type(refusal) for refusal in refusals] == [Internal] * 3
    assert [line["event"] for line in lines] == ["loading.failed"]


def test_a_question_is_found_by_the_first_who_asks_is_no_users_and_lasts_as_long_as_the_most_patient(shelf, loader):
    asking = [eventlet.spawn(outcome_of, loader.get, key, seconds=seconds) for key, seconds in ((1, 5), (2, 9), (3, 7))]
    for thread in asking:
        thread.wait()
    all_at_once(loader, [4])

    together, alone = shelf.calls
    assert together.user_id is None
    assert together.request_id == "of 1"
    assert timedelta(seconds=8) < together.deadline.remaining() <= timedelta(seconds=9)
    assert alone.deadline is None


def test_who_is_in_a_hurry_leaves_and_the_others_get_their_answers(shelf, loader):
    shelf.seconds = 0.2
    hurried = eventlet.spawn(outcome_of, loader.get, 1, seconds=0.05)
    patient = eventlet.spawn(outcome_of, loader.get, 2, seconds=5)

    assert isinstance(hurried.wait(), DeadlinePassed)
    assert patient.wait() == "thing 2"


def test_who_comes_too_late_is_told_so(shelf, loader):
    assert isinstance(outcome_of(loader.get, 1, seconds=-1), DeadlinePassed)
    assert shelf.asked == []


def test_a_question_nobody_waits_for_any_more_is_given_up(shelf, loader):
    shelf.seconds = 3600
    assert isinstance(outcome_of(loader.get, 1, seconds=0.05), DeadlinePassed)
    shelf.seconds = 0

    assert outcome_of(loader.get, 2, seconds=5) == "thing 2"


def test_a_closed_loader_says_that_nothing_is_to_be_had(loader):
    loader.close()

    assert isinstance(outcome_of(loader.get, 1), Unavailable)
