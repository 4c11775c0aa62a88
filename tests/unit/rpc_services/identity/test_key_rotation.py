from datetime import timedelta

from rpc_services.identity.key_rotation import PUBLISH_AHEAD, RETIRE_FOR, SIGN_FOR, KnownKey, Step, next_step
from tests.fakes.identity import NOON


class Ring:
    """Keys that follow the steps."""

    def __init__(self):
        self.keys = {}
        self.at = NOON

    def turn(self):
        while step := next_step(list(self.keys.values()), self.at):
            kid = step.kid or f"key-{len(self.keys)}-{self.at:%d%H}"
            if step.state is None:
                del self.keys[kid]
            else:
                self.keys[kid] = KnownKey(kid, step.state, self.at)
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
