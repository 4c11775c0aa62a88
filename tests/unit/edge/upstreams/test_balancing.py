import random
from collections import Counter

import pytest

from edge.upstreams.balancing import Candidate, LeastOutstanding, Rendezvous, RoundRobin


def some(count, **changes):
    return [Candidate(id=f"one-{number}", **changes) for number in range(count)]


def chosen(balancer, candidates, times, key=lambda _: b""):
    return Counter(candidates[balancer.choose(candidates, key(number))].id for number in range(times))


def test_in_turn_means_each_as_often_as_the_others():
    assert set(chosen(RoundRobin(), some(7), 700).values()) == {100}


def test_in_turn_follows_the_weights_and_does_not_bunch():
    candidates = [Candidate("heavy", weight=5), Candidate("b"), Candidate("c")]
    balancer = RoundRobin()

    order = [candidates[balancer.choose(candidates, b"")].id for _ in range(7)]

    assert order == ["heavy", "heavy", "b", "heavy", "c", "heavy", "heavy"]


def test_in_turn_forgets_who_has_gone_and_takes_in_who_comes():
    balancer, candidates = RoundRobin(), some(3)
    chosen(balancer, candidates, 10)

    assert set(chosen(balancer, [*candidates[1:], Candidate("new")], 300)) == {"one-1", "one-2", "new"}


@pytest.mark.parametrize("count", [3, 50], ids=["all of a few", "two of many"])
def test_whoever_has_least_to_do_gets_more_to_do(count):
    candidates = some(count)
    balancer = LeastOutstanding(random.Random(1))

    for _ in range(count * 20):
        candidates[balancer.choose(candidates, b"")].outstanding += 1

    assert max(one.outstanding for one in candidates) - min(one.outstanding for one in candidates) <= 5


def test_idle_equals_share_the_work():
    counts = chosen(LeastOutstanding(random.Random(1)), some(4), 4000)

    assert all(850 < count < 1150 for count in counts.values())


def test_twice_the_weight_may_have_twice_as_much_to_do():
    candidates = [Candidate("big", weight=2), Candidate("small")]
    balancer = LeastOutstanding(random.Random(1))

    for _ in range(300):
        candidates[balancer.choose(candidates, b"")].outstanding += 1

    assert abs(candidates[0].outstanding - 200) <= 2


def test_one_key_always_leads_to_one_instance_whatever_the_order():
    candidates = some(10)
    turned = candidates[5:] + candidates[:5]

    for number in range(200):
        key = f"user-{number}".encode()
        assert candidates[Rendezvous().choose(candidates, key)] is turned[Rendezvous().choose(turned, key)]


def test_when_one_goes_only_its_own_keys_move():
    candidates = some(10)
    keys = [f"user-{number}".encode() for number in range(2000)]
    before = {key: candidates[Rendezvous().choose(candidates, key)].id for key in keys}

    left = [one for one in candidates if one.id != "one-3"]
    after = {key: left[Rendezvous().choose(left, key)].id for key in keys}

    assert {key for key in keys if before[key] != after[key]} == {key for key in keys if before[key] == "one-3"}


def test_hashed_keys_are_spread_by_weight():
    candidates = [Candidate("big", weight=3), Candidate("small")]

    counts = chosen(Rendezvous(), candidates, 4000, lambda number: f"user-{number}".encode())

    assert 2800 < counts["big"] < 3200


def test_instances_whose_long_names_begin_alike_share_the_keys():
    long = "reviews-in-the-cluster-of-the-second-region-behind-the-first-mesh-"
    candidates = [Candidate(f"{long}{number}") for number in range(4)]

    counts = chosen(Rendezvous(), candidates, 2000, lambda number: f"user-{number}".encode())

    assert all(400 < counts[one.id] < 600 for one in candidates), counts


def test_a_favourite_with_too_much_to_do_hands_its_keys_on():
    candidates = some(4)
    key = b"everybody"

    for _ in range(400):
        candidates[Rendezvous().choose(candidates, key)].outstanding += 1

    assert max(one.outstanding for one in candidates) <= 400 / 4 * 1.25 + 1
