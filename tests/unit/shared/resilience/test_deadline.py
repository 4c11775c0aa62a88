from datetime import timedelta

import pytest

from shared.resilience.deadline import Deadline, NotADeadline


def test_a_deadline_passes_at_its_millisecond():
    deadline = Deadline.after(timedelta(seconds=2), clock=lambda: 100.0)

    assert deadline.epoch_ms == 102_000
    assert not deadline.has_passed(clock=lambda: 101.999)
    assert deadline.has_passed(clock=lambda: 102.0)


def test_what_is_left_becomes_negative():
    deadline = Deadline(100_000)

    assert deadline.remaining(clock=lambda: 99.5) == timedelta(milliseconds=500)
    assert deadline.remaining(clock=lambda: 101.0) == timedelta(seconds=-1)


@pytest.mark.parametrize("value", [True, 1.5, "1", None, -1, 2**53 + 1, [1]])
def test_only_whole_milliseconds_of_a_sane_time_are_a_deadline(value):
    with pytest.raises(NotADeadline):
        Deadline.read(value)
