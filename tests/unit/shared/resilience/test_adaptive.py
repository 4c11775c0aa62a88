import math
from dataclasses import replace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shared.resilience.adaptive import AdaptiveLimit, LimitPolicy, Priority

HEALTH, CHECKOUT, WRITE, READ = Priority
POLICY = LimitPolicy(least=24, slower=1.6, slack=0.01, growth=0.02)


class Queueing:
    """An upstream that serves ``servers`` at once, ``seconds`` each: who comes to more than that waits."""

    def __init__(self, limit, *, servers=20, seconds=0.005):
        self.limit = limit
        self.servers = servers
        self.seconds = seconds

    def window(self, offered, *, kind="read"):
        """A tenth of a second with so many wanting to be under way at once; the latency that they saw."""
        limit = self.limit
        while limit.in_flight < offered and limit.admits(READ):
            limit.enter()
        held = limit.in_flight
        latency = self.seconds * max(1.0, held / self.servers)
        for _ in range(held):
            limit.leave(kind, latency)
        limit.adjust()
        return latency


def run(world, offered, windows, **kind):
    return [world.window(offered, **kind) for _ in range(windows)]


def test_unloaded_it_refuses_nobody_and_stays_where_it_began():
    limit = AdaptiveLimit(POLICY)

    run(Queueing(limit), 15, 200)

    assert limit.limit == POLICY.first
    assert sum(limit.refused) == 0


def test_when_most_requests_take_much_longer_than_usual_it_finds_how_many_are_good_for_all():
    limit = AdaptiveLimit(POLICY)
    world = Queueing(limit, servers=60)
    run(world, 50, 50)

    latencies = run(world, 2000, 300)[50:]

    assert POLICY.least <= limit.limit < 300
    assert sorted(latencies)[len(latencies) // 2] <= 2 * world.seconds + POLICY.slack
    assert min(limit.rooms) >= world.servers / 2  # it does not starve what it guards


def test_it_never_goes_below_its_least_however_slow_all_is():
    limit = AdaptiveLimit(POLICY)
    world = Queueing(limit)
    run(world, 15, 20)
    world.seconds = 2.0

    run(world, 2000, 90)

    assert limit.limit >= POLICY.least


def test_when_the_load_has_gone_it_comes_back():
    limit = AdaptiveLimit(POLICY)
    world = Queueing(limit)
    run(world, 15, 20)
    run(world, 2000, 50)
    low = limit.limit

    run(world, 15, 1800)

    assert low < 100
    assert limit.limit > POLICY.first * 0.9


def test_a_sustained_overload_does_not_become_what_is_usual():
    limit = AdaptiveLimit(POLICY)
    world = Queueing(limit, servers=60)
    run(world, 50, 50)

    run(world, 2000, 6000)

    assert max(run(world, 2000, 50)) <= 3 * world.seconds + POLICY.slack


def test_an_upstream_that_is_slower_for_good_is_allowed_more_again():
    """The trap of a least latency that is remembered for ever."""
    limit = AdaptiveLimit(replace(POLICY, patience=20))
    world = Queueing(limit, servers=400)
    run(world, 60, 50)
    world.seconds = 0.05
    run(world, 200, 30)
    pinned = limit.limit

    run(world, 200, 3000)

    assert pinned < 100
    assert limit.limit * POLICY.shares[1] >= 200


def test_it_begins_in_the_middle_of_an_overload_and_finds_out_all_the_same():
    limit = AdaptiveLimit(replace(POLICY, patience=20))
    world = Queueing(limit, servers=60)

    run(world, 2000, 3000)

    assert max(run(world, 2000, 50)) <= 4 * world.seconds + 2 * POLICY.slack


def test_a_few_very_slow_requests_are_no_overload():
    limit = AdaptiveLimit(POLICY)
    for window in range(300):
        for number in range(40):
            limit.enter()
            limit.leave("slow" if number < 15 else "quick", 5.0 if number < 15 and window > 20 else 0.005)
        limit.adjust()

    assert limit.limit == POLICY.first


def test_another_mixture_of_kinds_is_no_overload():
    limit = AdaptiveLimit(POLICY)
    for window in range(300):
        slow = 2 if window < 100 else 38
        for number in range(40):
            limit.enter()
            limit.leave("slow" if number < slow else "quick", 0.2 if number < slow else 0.002)
        limit.adjust()

    assert limit.limit == POLICY.first


def test_a_process_that_comes_late_to_everything_lets_fewer_in():
    limit = AdaptiveLimit(POLICY)

    for _ in range(50):
        limit.adjust(is_lagging=True)

    assert limit.limit == POLICY.least


def test_requests_that_asked_nobody_have_no_vote():
    limit = AdaptiveLimit(POLICY)
    for _ in range(100):
        for _ in range(50):
            limit.enter()
            limit.leave("cached", 0.0)
        limit.adjust()

    assert limit.limit == POLICY.first
    assert limit.in_flight == 0


def test_the_fuller_it_is_the_more_must_a_request_matter():
    limit = AdaptiveLimit(replace(POLICY, first=100))
    admitted = {}
    for filled in (70, 80, 95, 100):
        while limit.in_flight < filled:
            limit.enter()
        admitted[filled] = [limit.admits(priority) for priority in Priority]

    assert admitted == {
        70: [True, True, True, True],
        80: [True, True, True, False],
        95: [True, True, False, False],
        100: [True, False, False, False],
    }
    assert limit.refused == [0, 1, 2, 3]


@pytest.mark.parametrize("priority", [CHECKOUT, WRITE, READ])
def test_health_is_let_in_whoever_is_not(priority):
    limit = AdaptiveLimit(LimitPolicy(first=10, least=10))
    for _ in range(10_000):
        limit.enter()

    assert limit.admits(HEALTH)
    assert not limit.admits(priority)


class AnyStory(RuleBasedStateMachine):
    """Whatever comes: the limit keeps its bounds, and a checkout is never refused where a read is let in."""

    def __init__(self):
        super().__init__()
        self.limit = AdaptiveLimit(LimitPolicy(patience=3, squeeze=2))
        self.under_way = 0

    @rule(priority=st.sampled_from(Priority), many=st.integers(1, 300))
    def requests_come(self, priority, many):
        for _ in range(many):
            if self.limit.admits(priority):
                self.limit.enter()
                self.under_way += 1

    @precondition(lambda self: self.under_way)
    @rule(kind=st.sampled_from("ab"), many=st.integers(1, 300), seconds=st.floats(0, 60))
    def requests_end(self, kind, many, seconds):
        for _ in range(min(many, self.under_way)):
            self.limit.leave(kind, seconds)
            self.under_way -= 1

    @rule(is_lagging=st.booleans())
    def a_window_ends(self, is_lagging):
        self.limit.adjust(is_lagging=is_lagging)

    @invariant()
    def it_knows_how_many_are_under_way(self):
        assert self.limit.in_flight == self.under_way

    @invariant()
    def it_keeps_its_bounds_and_its_order(self):
        assert POLICY.least <= self.limit.limit <= POLICY.most
        assert self.limit.rooms == sorted(self.limit.rooms, reverse=True)
        assert self.limit.rooms[HEALTH] == math.inf
        assert self.limit.rooms[READ] >= POLICY.least * POLICY.squeezed * POLICY.shares[1]


TestAnyStory = AnyStory.TestCase
