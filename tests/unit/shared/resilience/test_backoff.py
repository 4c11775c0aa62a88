import random

from hypothesis import given
from hypothesis import strategies as st

from shared.resilience.backoff import full_jitter


class Highest:
    def uniform(self, a: float, b: float) -> float:
        return max(a, b)


@given(st.integers(-3, 10_000), st.integers())
def test_a_pause_is_never_negative_and_never_above_the_cap(attempt, seed):
    assert 0 <= full_jitter(attempt, first=0.1, cap=2.0, dice=random.Random(seed)) <= 2.0


def test_the_ceiling_doubles_until_the_cap():
    pauses = [full_jitter(attempt, first=0.1, cap=2.0, dice=Highest()) for attempt in range(7)]

    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
