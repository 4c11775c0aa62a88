import eventlet
import pytest
from eventlet.support.greenlets import GreenletExit

from shared.nameko_ext.failures import Blame, NobodyKnows, NotExecuted
from shared.nameko_ext.guard import Guard
from shared.resilience.breaker import LOST_TOGETHER, BreakerPolicy, BreakerState

SILENT = NobodyKnows("no answer", blame=Blame.SERVICE)
POLICY = BreakerPolicy(failures_to_open=3, open_for=30.0, probe_lease=10.0)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def a_guard(clock=None):
    return Guard("shop", policy=POLICY, clock=clock or Clock())


def call(guard, ask, patience=5.0):
    return guard.call(ask, patience=patience)


def fail(fault):
    def ask():
        raise fault

    return ask


def an_open_guard(clock):
    guard = a_guard(clock)
    for number in range(3):
        clock.now = (number - 2) * 2 * LOST_TOGETHER
        with pytest.raises(NobodyKnows):
            call(guard, fail(SILENT))
    return guard


def test_a_service_that_keeps_failing_is_not_asked_and_the_caller_is_told_for_how_long():
    clock = Clock()
    guard = an_open_guard(clock)
    clock.now = 10.5

    with pytest.raises(NotExecuted) as refused:
        call(guard, fail(AssertionError("it was asked")))

    assert 17 <= refused.value.retry_after <= 20


@pytest.mark.parametrize(
    "fault",
    [
        NotExecuted("the broker is away", blame=Blame.BROKER),
        NobodyKnows("the link was lost", blame=Blame.BROKER),
        NotExecuted("too many calls", blame=Blame.CALLER),
        GreenletExit(),
        eventlet.Timeout(None),
    ],
)
def test_what_is_not_the_services_fault_never_opens_its_breaker(fault):
    guard = a_guard()
    for _ in range(20):
        with pytest.raises(type(fault)):
            call(guard, fail(fault))

    assert guard.state is BreakerState.CLOSED


@pytest.mark.parametrize(("patience", "state"), [(0.03, BreakerState.CLOSED), (1.0, BreakerState.OPEN)])
def test_a_call_that_never_had_time_says_nothing_of_the_service(patience, state):
    clock = Clock()
    guard = a_guard(clock)
    for _ in range(20):
        clock.now += 2 * LOST_TOGETHER
        with pytest.raises((NobodyKnows, NotExecuted)):
            call(guard, fail(SILENT), patience)

    assert guard.state is state


def test_after_its_time_one_probe_goes_through_and_its_answer_closes_the_breaker():
    clock = Clock()
    guard = an_open_guard(clock)
    clock.now = 30.0

    def probe():
        with pytest.raises(NotExecuted):
            call(guard, fail(AssertionError("a second probe")))
        return "answer"

    assert call(guard, probe) == "answer"
    assert guard.state is BreakerState.CLOSED


def test_a_probe_that_fails_opens_it_again():
    clock = Clock()
    guard = an_open_guard(clock)
    clock.now = 30.0

    with pytest.raises(NobodyKnows):
        call(guard, fail(SILENT))

    assert guard.state is BreakerState.OPEN


@pytest.mark.parametrize("end", [GreenletExit(), eventlet.Timeout(None), NobodyKnows("lost", blame=Blame.BROKER)])
def test_a_probe_that_is_lost_makes_room_for_the_next(end):
    clock = Clock()
    guard = an_open_guard(clock)
    clock.now = 30.0
    with pytest.raises(type(end)):
        call(guard, fail(end))

    assert call(guard, lambda: "answer") == "answer"


def test_a_probe_that_never_ends_blocks_the_next_for_no_longer_than_its_lease():
    clock = Clock()
    guard = an_open_guard(clock)
    clock.now = 30.0

    def probe():
        clock.now = 41.0
        assert call(guard, lambda: "second") == "second"
        raise SILENT

    with pytest.raises(NobodyKnows):
        call(guard, probe)

    assert guard.state is BreakerState.CLOSED


def test_while_nobody_listens_every_call_is_refused_with_the_reason():
    guard = a_guard()
    guard.lost()

    with pytest.raises(NotExecuted, match="no instance of the service is listening") as refused:
        call(guard, fail(AssertionError("it was asked")))

    assert (refused.value.retry_after, refused.value.blame) == (1, Blame.CALLER)


def test_time_alone_brings_nobody_back():
    clock = Clock()
    guard = a_guard(clock)
    guard.lost()
    clock.now = 3600.0

    with pytest.raises(NotExecuted):
        call(guard, fail(AssertionError("it was asked")))


def test_when_somebody_listens_again_all_calls_go_through_at_once():
    guard = a_guard()
    guard.lost()
    assert guard.state is BreakerState.OPEN
    guard.wake()

    assert guard.state is BreakerState.CLOSED
    assert call(guard, lambda: call(guard, lambda: "answer")) == "answer", "none waits for the verdict on another"


def test_who_failed_before_nobody_was_left_is_probed_when_somebody_listens_again():
    guard = an_open_guard(Clock())
    guard.lost()
    guard.wake()

    assert guard.state is BreakerState.HALF_OPEN
