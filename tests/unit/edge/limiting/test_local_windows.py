import bisect

from hypothesis import given
from hypothesis import strategies as st

from edge.limiting.limits import Check
from edge.limiting.local_windows import LOCAL_WINDOWS, LocalWindows


def a_check(key="k", quota=3, window=16):
    return Check(key, quota, window)


class At:
    """Windows, and the clock they go by."""

    def __init__(self):
        self.now = 0.0
        self.windows = LocalWindows(monotonic=lambda: self.now)

    def take(self, *checks):
        return self.windows.take(checks or (a_check(),))

    def owed(self, *, every=False):
        charges, strike = self.windows.debts(every=every)
        return {one.key: sum(count for _, count in one.admissions) for one in charges}, strike


@given(st.lists(st.floats(0, 3), max_size=120), st.integers(1, 10))
def test_no_span_of_the_windows_length_ever_admits_more_than_the_quota(gaps, quota):
    at, admitted = At(), []

    for gap in gaps:
        at.now += gap
        if at.take(a_check(quota=quota)).admitted:
            admitted.append(at.now)

    for index, moment in enumerate(admitted):
        assert bisect.bisect_left(admitted, moment + 16) - index <= quota


def test_who_is_refused_may_come_back_when_told():
    at = At()

    taken = [at.take() for _ in range(5)][-1]

    assert taken.admitted == 0
    at.now += taken.left[0][1]
    assert at.take().admitted == 1


def test_all_windows_are_charged_or_none():
    at = At()
    narrow, wide = a_check("narrow", quota=1), a_check("wide", quota=10)

    taken = [at.take(narrow, wide) for _ in range(5)]

    assert [one.admitted for one in taken] == [1, 0, 0, 0, 0]
    assert [one.left[1][0] for one in taken] == [9, 9, 9, 9, 9]


def test_what_redis_admitted_counts_but_is_not_owed():
    at = At()
    at.windows.note((a_check(),), 2)

    assert [at.take().admitted for _ in range(2)] == [1, 0]
    assert at.owed()[0] == {"k": 1}
    assert at.owed(every=True)[0] == {"k": 3}


def test_a_debt_is_owed_until_it_is_struck_and_then_only_what_is_new():
    at = At()
    at.take()
    _, strike = at.owed()
    at.take()

    strike()

    assert at.owed()[0] == {"k": 1}


def test_what_left_the_window_is_owed_no_more():
    at = At()
    at.take()
    at.now += 18

    assert at.owed(every=True)[0] == {}


def test_nothing_is_told_as_older_than_it_is():
    at = At()
    at.now = 0.9
    at.take()
    at.now = 5.0

    charges, _ = at.windows.debts(every=False)

    assert charges[0].admissions[0][0] <= 4.1


def test_strangers_do_not_fill_the_memory():
    at = At()
    for number in range(LOCAL_WINDOWS + 10):
        at.take(a_check(str(number)))

    assert len(at.owed()[0]) == LOCAL_WINDOWS
