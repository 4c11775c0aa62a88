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
        breaker.failed(permit, 0.0) if outcome == "f" else breaker.succeeded(permit)

    assert breaker.state(0.0) is BreakerState.CLOSED


def test_after_thirty_seconds_one_probe_passes_and_only_one():
    breaker = an_open_breaker()

    assert permit_of(breaker, 30.0).probe
    assert breaker.admit(30.0) is None


def test_a_probe_that_succeeds_closes_it():
    breaker = an_open_breaker()

    breaker.succeeded(permit_of(breaker, 30.0))

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
    breaker.succeeded(second)

    assert breaker.state(41.0) is BreakerState.CLOSED


def test_news_from_before_it_opened_changes_nothing():
    breaker = Breaker(POLICY)
    early = permit_of(breaker, 0.0)
    for _ in range(5):
        breaker.failed(permit_of(breaker, 0.0), 0.0)

    breaker.succeeded(early)

    assert breaker.state(1.0) is BreakerState.OPEN


def test_a_service_seen_alive_is_probed_at_once():
    breaker = an_open_breaker()

    breaker.wake()

    assert permit_of(breaker, 1.0).probe


def test_waking_a_closed_breaker_changes_nothing():
    breaker = Breaker(POLICY)

    breaker.wake()

    assert not permit_of(breaker, 0.0).probe


@given(st.lists(st.sampled_from("sa"), max_size=50))
def test_without_failures_it_never_opens(outcomes):
    breaker = Breaker(POLICY)

    for outcome in outcomes:
        permit = permit_of(breaker, 0.0)
        breaker.succeeded(permit) if outcome == "s" else breaker.abandoned(permit)

    assert breaker.state(0.0) is BreakerState.CLOSED


class AnyStory(RuleBasedStateMachine):
    """Whatever happens in whatever order: one probe at a time, and no lasting deadlock."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker(POLICY)
        self.now = 0.0
        self.held: list[tuple[Permit, float]] = []

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
        arguments = (permit, self.now) if end == "failed" else (permit,)
        getattr(self.breaker, end)(*arguments)

    @rule()
    def it_is_seen_alive(self):
        self.breaker.wake()

    @invariant()
    def at_most_one_probe_has_a_say(self):
        living = [
            permit
            for permit, since in self.held
            if permit.probe and permit.generation == self.breaker._generation and self.now - since < POLICY.probe_lease
        ]
        assert len(living) <= 1

    @invariant()
    def it_never_stays_shut_for_longer_than_it_says(self):
        later = self.now + self.breaker.retry_after(self.now)
        assert self.breaker.state(later + 1e-6) is not BreakerState.OPEN


TestAnyStory = AnyStory.TestCase
