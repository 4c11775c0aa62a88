import pytest

from edge.upstreams.ejection import FIRST_SHARE, Outliers
from edge.upstreams.policy import Ejection

POLICY = Ejection(failures=3, first=10, longest=35, most_percent=50, slow_start=20)


def outliers(count=4, policy=POLICY):
    kept = Outliers(policy)
    kept.follow(dict.fromkeys((f"i{number}" for number in range(count)), ""), 0.0)
    return kept


def failing(kept, instance="i0", *, now, times=3):
    return [kept.failed(instance, now) for _ in range(times)]


def test_only_failures_in_a_row_eject():
    kept = outliers()

    for _ in range(5):
        failing(kept, now=1.0, times=2)
        kept.succeeded("i0", 1.0)

    assert kept.share("i0", 1.0) == 1.0
    assert failing(kept, now=1.0) == [False, False, True]
    assert kept.share("i0", 1.0) == 0.0


def test_an_ejected_instance_comes_back_slowly():
    kept = outliers()
    failing(kept, now=0.0)

    assert kept.share("i0", 9.9) == 0.0
    assert kept.share("i0", 10.0) == pytest.approx(FIRST_SHARE)
    assert kept.share("i0", 20.0) == pytest.approx(0.55)
    assert kept.share("i0", 30.0) == 1.0


def test_each_time_it_stays_out_longer_up_to_the_bound():
    kept = outliers()
    lengths, now = [], 0.0

    for _ in range(4):
        failing(kept, now=now)
        back = next(second for second in range(200) if kept.share("i0", now + second) > 0)
        lengths.append(back)
        now += back

    assert lengths == [10, 20, 35, 35]


def test_well_for_as_long_as_it_was_out_it_is_as_good_as_new():
    kept = outliers()
    failing(kept, now=0.0)
    kept.share("i0", 10.0)
    kept.succeeded("i0", 20.0)
    failing(kept, now=21.0)

    assert kept.share("i0", 31.0) > 0


@pytest.mark.parametrize(
    ("count", "percent", "out"),
    [(4, 50, 2), (5, 50, 2), (2, 50, 1), (1, 50, 0), (3, 100, 3), (4, 0, 0)],
    ids=["two of four", "two of five", "one of two", "the only one stays", "all if it says so", "none if it says so"],
)
def test_never_more_than_the_share_are_out(count, percent, out):
    kept = outliers(count, Ejection(failures=1, most_percent=percent))

    for number in range(count):
        kept.failed(f"i{number}", 1.0)

    assert kept.out(1.0) == out


def test_the_share_that_may_be_out_is_one_of_each_group():
    kept = Outliers(Ejection(failures=1))
    kept.follow({"a0": "a", "b0": "b", "b1": "b", "c0": "c", "c1": "c", "c2": "c", "c3": "c"}, 0.0)

    out = [one for one in ("a0", "b0", "b1", "c0", "c1", "c2") if kept.failed(one, 1.0)]

    assert out == ["b0", "c0", "c1"]
    assert kept.out(1.0) == 3


def test_what_was_sent_before_the_ejection_and_fails_after_it_changes_nothing():
    kept = outliers()
    failing(kept, now=0.0)

    assert failing(kept, now=5.0, times=10) == [False] * 10
    assert kept.share("i0", 10.0) > 0


def test_the_first_instances_work_at_once_and_newcomers_grow_into_it():
    kept = outliers(2)
    kept.follow(dict.fromkeys(["i0", "i1", "new"], ""), 5.0)

    assert kept.share("i0", 5.0) == kept.share("i1", 5.0) == 1.0
    assert kept.share("new", 5.0) == pytest.approx(FIRST_SHARE)
    assert kept.share("new", 25.0) == 1.0


def test_whoever_is_still_there_keeps_its_record():
    kept = outliers()
    failing(kept, now=0.0)
    kept.follow(dict.fromkeys(["i0", "i1"], ""), 1.0)

    assert kept.share("i0", 1.0) == 0.0
