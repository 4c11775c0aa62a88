"""Which calls may share a frame."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.frames import CLOSE_SECONDS, close_together


def test_what_was_given_the_same_time_stays_together_in_the_order_in_which_it_came():
    assert list(close_together(["a", "b", "c"], [100.2, 100.0, 100.1])) == [["a", "b", "c"]]


def test_a_call_with_much_more_time_leaves_later_in_a_frame_of_its_own():
    assert list(close_together(["a", "b", "c", "d"], [105.0, 100.6, 104.9, 100.5])) == [["b", "d"], ["a", "c"]]


@given(st.lists(st.floats(0, 10), min_size=1))
def test_nobody_is_left_out_nor_parted_without_need_nor_put_beside_who_has_much_more_time(deadlines):
    numbers = range(len(deadlines))

    groups = list(close_together(numbers, deadlines))

    assert sorted(number for group in groups for number in group) == list(numbers)
    spans = [[deadlines[number] for number in group] for group in groups]
    assert all(max(span) - min(span) <= CLOSE_SECONDS for span in spans)
    assert all(min(later) - min(sooner) > CLOSE_SECONDS for sooner, later in pairwise(spans))
    assert all(list(group) == sorted(group) for group in groups)
