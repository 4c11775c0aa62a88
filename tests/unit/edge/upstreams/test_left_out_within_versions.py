"""Who fails is left out of its version's work: no version loses its share of the requests, nor its last instance."""

from collections import Counter
from random import Random

import pytest

from edge.discovery.table import Instance, InstanceTable
from edge.rpc.failures import NotExecuted
from edge.upstreams.policy import ByHeader, Ejection, HttpPolicy, Versions
from edge.upstreams.upstreams import Upstreams

FAILURES = 5
MANY = 1000
CANARY = ByHeader(name="X-Canary", values={"1": "canary"})


class Things:
    """A service with so many instances of each version, ``stable-0`` the first of them, under a clock that is told."""

    def __init__(self, split=None, weights=None, http=None, **instances):
        self.now = 0.0
        table = InstanceTable()
        table.replace(
            "things",
            tuple(
                Instance(f"{version}-{number}", "things", "127.0.0.1", 1, meta={"version": version})
                for version, count in instances.items()
                for number in range(count)
            ),
        )
        self.upstreams = Upstreams(table, dice=Random(1), clock=lambda: self.now)
        words = {"service": "things", "weights": weights or {}} | (http or {})
        versions = Versions(split=split or {"stable": 1, "canary": 0}, header=CANARY)
        self.way = self.upstreams.way("divided", HttpPolicy(versions=versions, **words))
        self.whole = self.upstreams.way("whole", HttpPolicy(**words))
        self.members = {one.id: one for one in self.way.service.members()}

    def fail(self, *ids, times=FAILURES):
        for one in ids:
            for _ in range(times):
                self.way.service.failed(self.members[one])

    def asked(self, times=MANY, *, named=None, but=None, way=None, keys=(b"",)):
        """Which instances so many requests go to, one after the other."""
        counts = Counter()
        for number in range(times):
            key = keys[number % len(keys)]
            lease = (way or self.way).pick(key=key, named=named, stays=b"", but=but and self.members[but])
            counts[lease.member.id] += 1
            lease.release()
        return counts

    def all_ask(self, ids, **asked):
        return set(self.asked(100, **asked)) == set(ids)


def test_the_only_instance_of_a_version_is_asked_however_often_it_failed():
    things = Things(stable=1, canary=1)

    things.fail("stable-0", "canary-0", times=3 * FAILURES)

    assert things.all_ask({"stable-0"})
    assert things.all_ask({"canary-0"}, named="1")
    assert things.way.service.figures()["passing"] == 2


def test_a_version_that_failed_keeps_its_share_of_the_requests():
    things = Things(split={"stable": 90, "canary": 10}, stable=1, canary=1)

    things.fail("stable-0", times=3 * FAILURES)

    assert 850 < things.asked()["stable-0"] < 950


def test_never_more_than_half_of_a_version_is_left_out_however_many_the_others_have():
    things = Things(stable=3, canary=7)

    things.fail("stable-0", "stable-1", "stable-2")

    assert things.all_ask({"stable-1", "stable-2"})
    things.now = 20.0
    assert things.all_ask({"stable-0", "stable-1", "stable-2"})


def test_where_all_of_a_version_may_be_left_out_all_of_it_is_asked_and_nobody_elses():
    everybody = {"ejection": Ejection(most_percent=100)}
    things = Things(http=everybody, stable=2, canary=2)

    things.fail("stable-0", "stable-1", "canary-0")

    counts = things.asked()
    assert set(counts) == {"stable-0", "stable-1"}
    assert min(counts.values()) > MANY / 3
    assert things.all_ask({"canary-1"}, named="1")


def test_what_has_no_weight_is_not_asked_though_all_others_of_its_version_are_left_out():
    things = Things(split={"stable": 90, "canary": 10}, weights={"stable-1": 0}, stable=2, canary=1)

    things.fail("stable-0")

    assert set(things.asked()) == {"stable-0", "canary-0"}


def test_a_version_without_weight_leaves_its_share_to_the_others():
    things = Things(split={"stable": 90, "canary": 10}, weights={"canary": 0}, stable=1, canary=1)

    things.fail("stable-0")

    assert things.all_ask({"stable-0"})
    assert things.all_ask({"stable-0"}, named="1")


def test_who_comes_back_grows_into_its_versions_work_and_the_versions_shares_stay():
    things = Things(split={"stable": 50, "canary": 50}, http={"balance": "round-robin"}, stable=2, canary=1)
    things.fail("stable-0")

    things.now = 11.0
    counts = things.asked()

    assert 430 < counts["canary-0"] < 570
    assert 0 < counts["stable-0"] < counts["stable-1"] / 3


def test_instances_of_a_version_take_turns_though_another_versions_stand_between_them():
    things = Things(split={"stable": 50, "canary": 50}, http={"balance": "round-robin"}, stable=3, canary=3)

    counts = things.asked(600)

    for version in ("stable", "canary"):
        of_version = [counts[f"{version}-{number}"] for number in range(3)]
        assert max(of_version) - min(of_version) <= 1, counts


def test_a_hash_leads_to_the_same_instance_of_a_version_that_failed_whole():
    keys = [f"user-{number}".encode() for number in range(8)]
    things = Things(http={"balance": "hash", "hash": "address", "ejection": Ejection(most_percent=100)}, stable=4)
    before = {key: set(things.asked(5, keys=[key])) for key in keys}

    things.fail(*things.members)

    assert {key: set(things.asked(5, keys=[key])) for key in keys} == before


def test_a_second_try_is_asked_of_the_version_that_has_another_instance_though_that_one_failed():
    things = Things(stable=2, canary=1)

    things.fail("stable-1")

    assert things.all_ask({"stable-1"}, but="stable-0")


def test_a_second_try_never_leads_to_a_version_without_a_share():
    things = Things(stable=1, canary=1)

    things.fail("stable-0")

    with pytest.raises(NotExecuted, match="no instance of a wanted version"):
        things.asked(1, but="stable-0")


def test_a_route_that_knows_no_versions_leaves_out_half_of_all():
    things = Things(stable=1, canary=1)

    things.fail("stable-0")

    assert things.all_ask({"canary-0"}, way=things.whole)
    assert things.all_ask({"stable-0"})


def test_whose_version_changes_counts_with_its_new_one():
    things = Things(stable=3, canary=1)
    table = things.upstreams._table
    things.fail("stable-0")

    table.replace(
        "things",
        tuple(Instance(one, "things", "127.0.0.1", 1, meta={"version": "stable"}) for one in things.members),
    )
    things.asked(1)
    things.fail("canary-0")

    assert things.all_ask({"stable-1", "stable-2"})
