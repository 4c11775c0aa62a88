import itertools
from dataclasses import replace
from datetime import timedelta

from rpc_services.identity.key_listing import shown
from rpc_services.identity.key_rotation import PUBLISH_AHEAD, RETIRE_FOR, SIGN_FOR, KnownKey, Schedule, Step
from shared.values.times import to_rfc3339
from tests.fakes.identity import NOON


def next_step(keys, at):
    return Schedule().next_step(keys, at)


class Ring:
    """Keys that follow the steps."""

    def __init__(self):
        self.keys = {}
        self.at = NOON
        self.schedule = Schedule()
        self.numbers = itertools.count(1)

    def turn(self):
        while step := self.schedule.next_step(list(self.keys.values()), self.at):
            kid = step.kid or f"key-{next(self.numbers)}"
            if step.state is None:
                del self.keys[kid]
            else:
                algorithm = self.keys[kid].algorithm if kid in self.keys else self.schedule.algorithm
                self.keys[kid] = KnownKey(kid, step.state, self.at, algorithm)
        return self

    def states(self):
        return sorted(key.state for key in self.keys.values())

    def kid(self, state):
        return next(key.kid for key in self.keys.values() if key.state == state)


def test_a_new_shop_gets_a_key_that_signs_and_one_that_is_published_ahead():
    assert next_step([], NOON) == Step(None, "current")
    assert Ring().turn().states() == ["current", "next"]


def test_a_key_that_is_young_stays():
    ring = Ring().turn()

    assert next_step(list(ring.keys.values()), NOON + SIGN_FOR - timedelta(seconds=1)) is None


def test_the_published_key_takes_over_and_the_old_one_stays_published():
    ring = Ring().turn()
    old, heir = ring.kid("current"), ring.kid("next")

    ring.at = NOON + SIGN_FOR
    ring.turn()

    assert ring.states() == ["current", "next", "retiring"]
    assert (ring.kid("current"), ring.kid("retiring")) == (heir, old)


def test_a_key_never_signs_before_it_was_published_long_enough():
    keys = [KnownKey("old", "current", NOON - 2 * SIGN_FOR), KnownKey("new", "next", NOON)]

    assert next_step(keys, NOON + PUBLISH_AHEAD - timedelta(seconds=1)) is None
    assert next_step(keys, NOON + PUBLISH_AHEAD) == Step("old", "retiring")


def test_a_retired_key_is_forgotten_when_its_tokens_are_dead():
    ring = Ring().turn()
    ring.at = NOON + SIGN_FOR
    ring.turn()

    ring.at += RETIRE_FOR
    ring.turn()

    assert ring.states() == ["current", "next"]


def test_a_key_that_is_due_is_replaced_as_soon_as_every_cache_knows_the_next():
    ring = Ring().turn()
    old = ring.kid("current")
    ring.keys[old] = replace(ring.keys[old], is_due=True)

    ring.at += PUBLISH_AHEAD - timedelta(seconds=1)
    assert ring.turn().kid("current") == old
    ring.at += timedelta(seconds=1)
    ring.turn()

    assert ring.kid("retiring") == old
    assert ring.states() == ["current", "next", "retiring"]
    ring.at += PUBLISH_AHEAD
    assert ring.turn().kid("current") != old


def test_another_algorithm_is_published_before_it_signs_and_the_waiting_key_of_the_old_one_never_does():
    ring = Ring().turn()
    waiting, old = ring.kid("next"), ring.kid("current")
    ring.schedule = Schedule(algorithm="EdDSA")

    ring.at += SIGN_FOR
    ring.turn()

    assert waiting not in ring.keys
    assert ring.kid("current") == old
    assert ring.keys[ring.kid("next")].algorithm == "EdDSA"
    ring.at += PUBLISH_AHEAD
    ring.turn()
    assert {key.state: key.algorithm for key in ring.keys.values()} == {
        "retiring": "RS256", "current": "EdDSA", "next": "EdDSA",
    }  # fmt: skip


def test_an_operator_sees_when_each_key_leaves_its_state():
    ring = Ring().turn()
    ring.at += SIGN_FOR
    ring.turn()

    turns = {each.state: each.turns_at for each in shown(list(ring.keys.values()), ring.schedule)}

    assert turns == {
        "current": to_rfc3339(ring.at + SIGN_FOR),
        "next": to_rfc3339(ring.at + SIGN_FOR),
        "retiring": to_rfc3339(ring.at + RETIRE_FOR),
    }
