from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shared.resilience.breaker import Breaker, BreakerPolicy, BreakerState, Permit

POLICY = BreakerPolicy(failures_to_open=5, open_for=30.0, probe_lease=10.0)


def an_open_breaker(at: float = 0.0) -> Breaker:
    breaker = Breaker(POLICY)
    for _ in range(5):
        breaker.failed(permit_of(breaker, at), at)
    return breaker


def permit_of(breaker: Breaker, now: float) -> Permit:
    permit = breaker.admit(now)
    assert permit is not None
    return permit


def test_five_failures_in_a_row_open_it():
    breaker = an_open_breaker()

    assert breaker.state(0.0) is BreakerState.OPEN
    assert breaker.admit(29.9) is None
    assert breaker.retry_after(10.0) == 20.0


def test_four_failures_and_a_success_leave_it_closed():
    breaker = Breaker(POLICY)

    for outcome in "ffffsffff":
        permit = permit_of(breaker, 0.0)
        breaker.failed(permit, 0.0) if outcome == "f" else breaker.succeeded(permit, 0.0)

    assert breaker.state(0.0) is BreakerState.CLOSED


def test_after_thirty_seconds_one_probe_passes_and_only_one():
    breaker = an_open_breaker()

    assert permit_of(breaker, 30.0).probe
    assert breaker.admit(30.0) is None


def test_a_probe_that_succeeds_closes_it():
    breaker = an_open_breaker()

    breaker.succeeded(permit_of(breaker, 30.0), 30.0)

    assert breaker.state(30.0) is BreakerState.CLOSED


def test_a_probe_that_fails_opens_it_for_another_thirty_seconds():
    breaker = an_open_breaker()

    breaker.failed(permit_of(breaker, 30.0), 31.0)

    assert breaker.admit(60.9) is None
    assert breaker.admit(61.0) is not None


def test_a_probe_that_was_cancelled_makes_room_for_the_next():
    breaker = an_open_breaker()

    breaker.abandoned(permit_of(breaker, 30.0))

    assert breaker.admit(30.0) is not None


def test_a_probe_that_reports_nothing_blocks_the_next_only_for_its_lease():
    breaker = an_open_breaker()
    forgotten = permit_of(breaker, 30.0)

    assert breaker.admit(39.9) is None
    second = permit_of(breaker, 40.0)
    breaker.failed(forgotten, 41.0)
    breaker.succeeded(second, 41.0)

    assert breaker.state(41.0) is BreakerState.CLOSED


def test_news_from_before_it_opened_changes_nothing():
    breaker = Breaker(POLICY)
    early = permit_of(breaker, 0.0)
    for _ in range(5):
        breaker.failed(permit_of(breaker, 0.0), 0.0)

    breaker.succeeded(early, 1.0)

    assert breaker.state(1.0) is BreakerState.OPEN


def test_a_service_seen_alive_is_probed_at_once():
    breaker = an_open_breaker()

    breaker.wake()

    assert permit_of(breaker, 1.0).probe


def test_waking_a_closed_breaker_changes_nothing():
    breaker = Breaker(POLICY)

    breaker.wake()

    assert not permit_of(breaker, 0.0).probe


def after(outcomes, policy=POLICY, *, spacing=0.1):
    """A breaker after calls that ended so: ``s`` answered, ``S`` answered slowly, ``f`` silent, ``e`` a fault."""
    breaker, now = Breaker(policy), 0.0
    for outcome in outcomes:
        now += spacing
        permit = breaker.admit(now)
        if permit is None:
            break
        if outcome in "sS":
            breaker.succeeded(permit, now, seconds=3.0 if outcome == "S" else 0.01)
        else:
            breaker.failed(permit, now, answered=outcome == "e")
    return breaker, now


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        pytest.param("sfff" * 4 + "sff", BreakerState.CLOSED, id="three quarters, but too few to say"),
        pytest.param("sfff" * 5, BreakerState.OPEN, id="three quarters of twenty"),
        pytest.param("sf" * 30, BreakerState.CLOSED, id="half of sixty, as when one replica of two hangs"),
        pytest.param("see" * 20, BreakerState.CLOSED, id="two thirds of sixty answered with faults"),
        pytest.param("s" + "e" * 19, BreakerState.OPEN, id="nineteen of twenty answered with faults"),
        pytest.param("e" * 19, BreakerState.CLOSED, id="faults in a row, but too few to say"),
        pytest.param("fss" * 20, BreakerState.CLOSED, id="a third of sixty"),
    ],
)
def test_a_rate_of_failures_opens_it_only_when_enough_calls_say_so(outcomes, state):
    breaker, now = after(outcomes)

    assert breaker.state(now) is state


def test_failures_that_are_older_than_the_window_are_forgotten():
    breaker, now = after("sfff" * 5, spacing=1.1)

    assert breaker.state(now) is BreakerState.CLOSED


def test_a_service_that_answers_with_faults_is_asked_again_soon():
    breaker, now = after("e" * 20)

    assert breaker.state(now) is BreakerState.OPEN
    assert breaker.retry_after(now) <= POLICY.open_briefly


def test_silences_while_others_were_answered_are_not_in_a_row():
    breaker = Breaker(POLICY)
    frame = [permit_of(breaker, 0.0) for _ in range(5)]
    for number in range(200):
        breaker.succeeded(permit_of(breaker, number / 50), number / 50)

    for permit in frame:
        breaker.failed(permit, 5.0, began=0.0)

    assert breaker.state(5.0) is BreakerState.CLOSED


FRAMED = BreakerPolicy(together=0.05)


def lose(breaker, *calls):
    """Those that began then wait five seconds each, and are not answered."""
    permits = [permit_of(breaker, calls[0]) for _ in calls]
    for permit, began in zip(permits, calls, strict=True):
        breaker.failed(permit, began + 5.0, began=began)


def test_calls_that_are_lost_with_one_frame_are_one_silence():
    breaker = Breaker(FRAMED)

    lose(breaker, *[number / 1000 for number in range(19)])
    assert breaker.state(5.1) is BreakerState.CLOSED
    lose(breaker, 0.2, 0.3, 0.4, 0.5)

    assert (breaker.state(5.5), breaker.reason) == (BreakerState.OPEN, "5 calls in a row were not answered")


def test_two_crowds_that_are_lost_together_do_not_outweigh_who_was_answered_between_them():
    """24 callers, each again when it has heard of its last call; every other frame is lost, and that is the fuller."""
    breaker = Breaker(FRAMED)
    for began in (0.0, 5.0, 10.0, 15.0):
        for _ in range(3):
            breaker.succeeded(permit_of(breaker, began), began)
        lose(breaker, *[began] * 24)

    assert breaker.state(20.0) is BreakerState.CLOSED


def test_slow_calls_open_it_only_where_that_is_asked_for():
    watchful = BreakerPolicy(slow_seconds=2.0)

    assert after("S" * 30)[0].state(3.0) is BreakerState.CLOSED
    assert after("S" * 30, watchful)[0].state(3.0) is BreakerState.OPEN
    assert after("Ss" * 15, watchful)[0].state(3.0) is BreakerState.CLOSED


@pytest.mark.parametrize("probes", [1, 3])
def test_a_thousand_callers_at_half_open_make_no_more_calls_than_there_are_probes(probes):
    breaker = Breaker(BreakerPolicy(probes=probes))
    breaker.trip(0.0, "for the test")

    assert sum(breaker.admit(30.0) is not None for _ in range(1000)) == probes


def test_it_says_why_it_opened():
    assert an_open_breaker().reason == "5 calls in a row were not answered"
    assert after("sfff" * 5)[0].reason == "15 of 20 calls failed"


def test_an_operator_holds_it_open_or_closed_whatever_happens():
    breaker = an_open_breaker()

    breaker.rule(BreakerState.CLOSED)
    for _ in range(30):
        breaker.failed(permit_of(breaker, 1.0), 1.0)
    held_closed = breaker.state(1.0)
    breaker.rule(BreakerState.OPEN)

    assert held_closed is BreakerState.CLOSED
    assert breaker.admit(10_000.0) is None


def test_let_go_it_decides_by_itself_again():
    breaker = Breaker(POLICY)
    breaker.rule(BreakerState.OPEN)

    breaker.rule(None)

    assert breaker.state(0.0) is BreakerState.CLOSED
    assert an_open_breaker().admit(1.0) is None


@given(st.integers(0, 10_000))
def test_many_breakers_that_open_together_do_not_probe_together(seed):
    breaker = Breaker(BreakerPolicy(jitter=0.1), dice=Random(seed))
    breaker.trip(0.0, "for the test")

    assert 27.0 <= breaker.retry_after(0.0) <= 30.0


@given(st.lists(st.sampled_from("sa"), max_size=50))
def test_without_failures_it_never_opens(outcomes):
    breaker = Breaker(POLICY)

    for outcome in outcomes:
        permit = permit_of(breaker, 0.0)
        breaker.succeeded(permit, 0.0) if outcome == "s" else breaker.abandoned(permit)

    assert breaker.state(0.0) is BreakerState.CLOSED


class AnyStory(RuleBasedStateMachine):
    """Whatever happens in whatever order: one probe at a time, and no lasting deadlock."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker(POLICY)
        self.now = 0.0
        self.held: list[tuple[Permit, float]] = []
        self.ruled = None

    @rule(seconds=st.floats(0, 40))
    def time_passes(self, seconds):
        self.now += seconds

    @rule()
    def someone_calls(self):
        before = self.breaker.state(self.now)
        permit = self.breaker.admit(self.now)
        assert (permit is not None) or before is not BreakerState.CLOSED
        assert permit is None or before is not BreakerState.OPEN
        if permit:
            assert permit.probe == (before is BreakerState.HALF_OPEN)
            self.held.append((permit, self.now))

    @precondition(lambda self: self.held)
    @rule(pick=st.integers(0, 1000), end=st.sampled_from(["succeeded", "failed", "abandoned"]))
    def a_call_ends(self, pick, end):
        permit, _ = self.held.pop(pick % len(self.held))
        arguments = (permit,) if end == "abandoned" else (permit, self.now)
        getattr(self.breaker, end)(*arguments)

    @rule()
    def it_is_seen_alive(self):
        self.breaker.wake()

    @rule()
    def it_is_tripped(self):
        self.breaker.trip(self.now, "for the test")

    @rule(ruling=st.sampled_from([BreakerState.OPEN, BreakerState.CLOSED, None]))
    def an_operator_rules(self, ruling):
        self.ruled = ruling
        self.breaker.rule(ruling)

    @invariant()
    def an_operator_is_obeyed(self):
        assert self.ruled is None or self.breaker.state(self.now) is self.ruled

    @invariant()
    def at_most_one_probe_has_a_say(self):
        living = [
            permit
            for permit, since in self.held
            if permit.probe and permit.generation == self.breaker._generation and self.now < since + POLICY.probe_lease
        ]
        assert len(living) <= 1

    @precondition(lambda self: self.ruled is None)
    @invariant()
    def it_never_stays_shut_for_longer_than_it_says(self):
        later = self.now + self.breaker.retry_after(self.now)
        assert self.breaker.state(later + 1e-6) is not BreakerState.OPEN

    @precondition(lambda self: self.ruled is None)
    @invariant()
    def no_lost_probe_ever_wedges_it(self):
        much_later = self.now + POLICY.open_for + POLICY.probe_lease + 1e-6
        leases = self.breaker._probes.values()
        assert self.breaker.state(much_later) is not BreakerState.OPEN
        assert all(until <= much_later for until in leases)


TestAnyStory = AnyStory.TestCase
