import random
from collections import Counter

import pytest

from edge.upstreams.policy import ByHeader, Versions
from edge.upstreams.versions import Divider

BOTH = {"stable", "canary"}


def divider(*, split=None, header=None, seed=1):
    policy = Versions(split=split or {"stable": 90, "canary": 10}, header=header)
    return Divider(policy, random.Random(seed))


def drawn(kept, times, present=BOTH, named=None, key=lambda _: b""):
    return Counter(kept.choose(present, named=named, key=key(number)) for number in range(times))


def test_each_version_gets_its_share():
    counts = drawn(divider(), 10_000)

    assert 900 < counts["canary"] < 1100
    assert counts["stable"] + counts["canary"] == 10_000


def test_the_header_decides_whatever_the_shares():
    kept = divider(split={"stable": 1, "canary": 0}, header=ByHeader(name="X-Canary", values={"1": "canary"}))

    assert drawn(kept, 50, named="1") == {"canary": 50}
    assert drawn(kept, 50, named="2") == {"stable": 50}
    assert drawn(kept, 50) == {"stable": 50}


def test_who_stays_gets_one_version_and_the_shares_still_hold():
    kept = divider()
    first = [kept.choose(BOTH, named=None, key=f"user-{number}".encode()) for number in range(5000)]
    again = [divider(seed=9).choose(BOTH, named=None, key=f"user-{number}".encode()) for number in range(5000)]

    assert first == again
    assert 400 < first.count("canary") < 600


@pytest.mark.parametrize(("present", "chosen"), [({"stable"}, "stable"), ({"canary"}, "canary"), ({"other"}, None)])
def test_a_version_that_is_away_leaves_its_share_to_those_that_are_there(present, chosen):
    assert drawn(divider(), 20, present) == {chosen: 20}


def test_a_version_without_a_share_never_takes_over():
    kept = divider(split={"blue": 1, "green": 0})

    assert drawn(kept, 20, {"green"}) == {None: 20}


def test_a_version_asked_for_by_header_that_is_away_is_replaced_by_the_usual_one():
    kept = divider(split={"stable": 1, "canary": 0}, header=ByHeader(name="X-Canary", values={"1": "canary"}))

    assert drawn(kept, 20, {"stable"}, named="1") == {"stable": 20}
