from collections import Counter
from contextlib import suppress

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shared.resilience.breaker import BreakerPolicy, BreakerState
from shared.resilience.circuit import WHOLE, Circuit, Ending

OPEN, HALF_OPEN, CLOSED = BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.CLOSED
POLICY = BreakerPolicy()


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Fault(Exception):
    def __init__(self, ending):
        self.ending = ending


def judge(fault):
    return fault.ending if isinstance(fault, Fault) else Ending.VOID


def a_circuit(policy=POLICY):
    clock = Clock()
    return Circuit(policy, clock=clock), clock


def call(circuit, method="read", ending=Ending.ANSWERED):
    """Whether it was let through."""
    attempt = circuit.attempt(method, judge)
    if attempt is None:
        return False
    fault = None if ending is Ending.ANSWERED else Fault(ending)
    with suppress(Fault), attempt:
        if fault is not None:
            raise fault
    return True


def silence(circuit, *methods):
    for method in methods:
        call(circuit, method, Ending.SILENT)


def test_a_method_that_fails_leaves_the_others_of_its_service_open_to_all():
    circuit, _ = a_circuit()
    silence(circuit, *["slow"] * 5)

    assert not call(circuit, "slow")
    assert call(circuit, "quick")
    assert (circuit.state(), circuit.state("slow"), circuit.state("quick")) == (CLOSED, OPEN, CLOSED)


def test_a_service_that_is_silent_in_several_methods_is_refused_as_a_whole():
    circuit, _ = a_circuit()
    silence(circuit, "a", "b", "a", "b", "a")

    assert not call(circuit, "never called before")
    assert circuit.state() is OPEN


def test_one_answer_among_the_silences_shows_that_the_service_lives():
    circuit, _ = a_circuit()
    silence(circuit, "a", "b", "a", "b")
    call(circuit, "c")
    silence(circuit, "a")

    assert circuit.state() is CLOSED


def test_an_answer_after_they_began_shows_that_the_service_lived_while_they_waited():
    circuit, clock = a_circuit()
    frame = [circuit.attempt(method, judge) for method in "aabbb"]
    clock.now = 1.0
    call(circuit, "c")
    clock.now = 5.0
    for each in frame:
        circuit.settle(each, Ending.SILENT)

    assert {circuit.state(), *map(circuit.state, "abc")} == {CLOSED}
    silence(circuit, *"abdab")
    assert circuit.state() is OPEN


def test_what_is_lost_together_is_one_silence_of_the_service():
    circuit, clock = a_circuit(BreakerPolicy(together=0.05))
    silence(circuit, *"abcabcabc")
    assert circuit.state() is CLOSED
    for _ in range(4):
        clock.now += 0.1
        silence(circuit, *"ab")

    assert circuit.state() is OPEN


def test_with_nobody_there_everything_is_refused_at_once_until_somebody_is_back():
    circuit, clock = a_circuit()
    call(circuit)
    circuit.gone("nobody listens")
    clock.now = 1000.0
    seen = call(circuit), circuit.state(), circuit.reason("read"), circuit.seen()[WHOLE].reason
    circuit.back()

    assert seen == (False, OPEN, "nobody listens", "nobody listens")
    assert circuit.state() is CLOSED


def test_whoever_was_merely_away_has_failed_at_nothing_and_is_called_by_all_at_once():
    circuit, _ = a_circuit()
    circuit.gone("nobody listens")
    circuit.back()

    assert sum(circuit.attempt(f"method {number % 5}", judge) is not None for number in range(1000)) == 1000


def test_whoever_comes_back_is_probed_where_it_failed_before_and_nowhere_else():
    circuit, _ = a_circuit()
    silence(circuit, *["slow"] * 5)
    circuit.gone("nobody listens")
    circuit.back()

    assert [circuit.state("slow"), circuit.state("quick")] == [HALF_OPEN, CLOSED]


def test_a_service_that_was_silent_as_a_whole_before_it_went_is_probed_when_it_is_back():
    circuit, _ = a_circuit()
    silence(circuit, *["a", "b"] * 3)
    circuit.gone("nobody listens")
    circuit.back()

    assert circuit.state() is HALF_OPEN
    assert call(circuit, "c")
    assert circuit.state() is CLOSED


def test_what_was_silent_as_everybody_went_says_nothing_of_who_comes():
    circuit, _ = a_circuit()
    silence(circuit, *["a", "b"] * 2)
    circuit.gone("nobody listens")
    circuit.back()
    silence(circuit, "c")

    assert circuit.state() is CLOSED


def test_calls_that_end_while_nobody_is_there_do_not_open_the_whole_service():
    circuit, _ = a_circuit()
    left = [circuit.attempt(method, judge) for method in "abcabc"]
    circuit.gone("nobody listens")
    for each in left:
        circuit.settle(each, Ending.SILENT)
    circuit.back()

    assert circuit.state() is CLOSED


def test_calls_to_who_has_gone_that_end_after_somebody_came_open_nothing():
    circuit, clock = a_circuit()
    left = [circuit.attempt(method, judge) for method in "abcabc" + "d" * 5]
    circuit.gone("nobody listens")
    clock.now = 1.0
    circuit.back()
    clock.now = 4.0
    for each in left:
        circuit.settle(each, Ending.SILENT)

    assert {circuit.state(), *map(circuit.state, "abcd")} == {CLOSED}


def test_of_who_merely_went_no_method_is_held_back_though_its_calls_ended_meanwhile():
    circuit, _ = a_circuit()
    left = [circuit.attempt("a", judge) for _ in range(5)]
    circuit.gone("nobody listens")
    for each in left:
        circuit.settle(each, Ending.SILENT)
    circuit.back()

    assert all(circuit.attempt("a", judge) for _ in range(10))


def test_a_word_from_elsewhere_that_nobody_lives_adds_nothing_to_an_absence():
    circuit, _ = a_circuit()
    circuit.gone("nobody listens")
    circuit.trip("Consul knows no passing instance")
    circuit.back()

    assert circuit.state() is CLOSED


def test_a_word_from_elsewhere_that_somebody_lives_brings_nobody_back():
    circuit, _ = a_circuit()
    circuit.gone("nobody listens")
    circuit.wake()

    assert not call(circuit)


def test_a_word_from_elsewhere_opens_it_only_for_a_while_so_that_a_wrong_one_is_outlived():
    circuit, clock = a_circuit()
    circuit.trip("Consul knows no passing instance")
    refused = not call(circuit)
    clock.now = 30.0

    assert refused
    assert call(circuit)
    assert circuit.state() is CLOSED


def test_a_late_answer_wakes_the_method_it_is_of():
    circuit, clock = a_circuit()
    silence(circuit, *["read"] * 5)
    clock.now = 1.0
    refused = not call(circuit)
    circuit.heard("read")

    assert refused
    assert call(circuit)


def test_a_late_answer_after_a_hang_of_the_whole_service_wakes_all_its_methods():
    circuit, _ = a_circuit()
    silence(circuit, *["a"] * 4, *["b"] * 4)
    circuit.heard("a")

    assert call(circuit, "b")
    assert call(circuit, "a")
    assert circuit.state() is CLOSED


def test_answers_of_others_do_not_wake_a_method_that_fails_alone():
    circuit, _ = a_circuit()
    silence(circuit, *["slow"] * 5)
    for _ in range(100):
        call(circuit, "quick")

    assert not call(circuit, "slow")


@pytest.mark.parametrize("ending", [Ending.VOID, Ending.ANSWERED])
def test_what_says_nothing_against_the_service_never_opens_anything(ending):
    circuit, _ = a_circuit()
    for number in range(100):
        call(circuit, f"method {number % 3}", ending)

    assert {seen.state for seen in circuit.seen().values()} == {CLOSED}


def test_a_probe_that_is_cancelled_makes_room_for_the_next():
    circuit, clock = a_circuit()
    silence(circuit, *["read"] * 5)
    clock.now = 30.0
    call(circuit, "read", Ending.VOID)

    assert call(circuit, "read")


def test_a_probe_refused_by_its_methods_own_breaker_does_not_block_those_of_other_methods():
    circuit, _ = a_circuit()
    circuit.trip("for the test")
    circuit.heard("quick")
    circuit.rule({"slow": OPEN})

    assert not call(circuit, "slow")
    assert call(circuit, "quick")


def test_an_operator_rules_a_service_with_all_its_methods_or_one_method():
    circuit, _ = a_circuit()
    call(circuit, "read")
    circuit.rule({WHOLE: OPEN})
    none = [call(circuit, "read"), call(circuit, "write")]
    circuit.rule({"read": OPEN})
    one = [call(circuit, "read"), call(circuit, "write")]
    circuit.rule({})

    assert (none, one) == ([False, False], [False, True])
    assert call(circuit, "read")


def test_a_service_held_closed_is_called_even_when_nobody_seems_to_be_there():
    circuit, _ = a_circuit()
    circuit.gone("nobody listens")
    silence(circuit, *["new"] * 9)
    circuit.rule({WHOLE: CLOSED})

    assert call(circuit, "new")
    assert call(circuit, "newer")


def test_every_move_is_told_once_with_its_reason():
    told = []
    circuit = Circuit(POLICY, clock=Clock(), on_move=lambda *move: told.append(move))
    silence(circuit, *["read"] * 9)
    circuit.heard("read")
    call(circuit, "read")

    assert told == [
        ("read", OPEN, "5 calls in a row were not answered"),
        ("read", CLOSED, "a probe was answered"),
    ]


def test_going_and_coming_back_are_told_once_each_though_they_are_said_again():
    told = []
    circuit = Circuit(POLICY, clock=(clock := Clock()), on_move=lambda *move: told.append(move))
    for _ in range(2):
        circuit.gone("nobody listens")
    clock.now = 3.0
    for _ in range(2):
        circuit.back()

    assert [move[:2] for move in told] == [(WHOLE, OPEN), (WHOLE, CLOSED)]
    assert circuit.seen()[WHOLE].age == 0.0


class AnyStory(RuleBasedStateMachine):
    """Whatever happens in whatever order: no method is shut for ever, and half-open lets one at a time through."""

    METHODS = ("a", "b", "c")

    def __init__(self):
        super().__init__()
        self.circuit, self.clock = a_circuit()
        self.out = []
        self.is_gone = False

    @rule(seconds=st.floats(0, 40))
    def time_passes(self, seconds):
        self.clock.now += seconds

    @rule(method=st.sampled_from(METHODS))
    def someone_calls(self, method):
        before = self.circuit.state(method)
        attempt = self.circuit.attempt(method, judge)
        assert before is not CLOSED or attempt is not None
        assert before is not OPEN or attempt is None
        if attempt is not None:
            assert attempt.is_probe == (before is HALF_OPEN)
            self.out.append((attempt, method, self.clock.now))

    @precondition(lambda self: self.out)
    @rule(pick=st.integers(0, 1000), ending=st.sampled_from(Ending))
    def a_call_ends(self, pick, ending):
        attempt, _, _ = self.out.pop(pick % len(self.out))
        fault = None if ending is Ending.ANSWERED else Fault(ending)
        attempt.__exit__(type(fault) if fault else None, fault, None)

    @rule()
    def all_go(self):
        self.is_gone = True
        self.circuit.gone("nobody listens")

    @rule()
    def someone_comes(self):
        self.is_gone = False
        self.circuit.back()

    @rule()
    def somebody_is_said_to_live(self):
        self.circuit.wake()

    @rule(method=st.sampled_from(METHODS))
    def a_late_answer_comes(self, method):
        self.circuit.heard(method)

    @rule()
    def a_word_from_elsewhere(self):
        self.circuit.trip("for the test")

    @invariant()
    def a_method_has_at_most_one_living_probe_of_each_breaker(self):
        living = [(attempt, method) for attempt, method, since in self.out if self.clock.now - since < 10.0]
        own = [attempt for attempt, _ in living if self.circuit._own._has_say(attempt.own) and attempt.own.probe]
        each = Counter(
            method
            for attempt, method in living
            if attempt.permit.probe and self.circuit._methods[method]._has_say(attempt.permit)
        )
        assert len(own) <= 1
        assert all(count <= 1 for count in each.values())

    @precondition(lambda self: not self.is_gone)
    @invariant()
    def whatever_it_says_of_when_to_come_back_holds(self):
        for method in self.METHODS:
            now = self.clock.now
            self.clock.now = now + self.circuit.retry_after(method) + 1e-6
            state = self.circuit.state(method)
            self.clock.now = now
            assert state is not OPEN


TestAnyStory = AnyStory.TestCase


def test_it_is_seen_for_how_long_a_breaker_has_been_as_it_is():
    clock = Clock()
    circuit = Circuit(POLICY, clock=clock)
    clock.now = 5.0
    assert circuit.seen()[WHOLE].age is None

    circuit.trip("for a test")
    clock.now = 7.0
    assert circuit.seen()[WHOLE].age == 2.0

    circuit.rule({WHOLE: CLOSED})
    clock.now = 8.0
    assert circuit.seen()[WHOLE].age == 1.0
