from copy import deepcopy
from types import SimpleNamespace

import pytest

from edge.status.history import SLOT_SECONDS, SLOTS
from edge.status.merging import merged
from edge.status.picture import picture
from tests.fakes.edge import FakeHealth, collaborators

WALL = 1_000_000.0
NUMBER = int(WALL) // SLOT_SECONDS


class Table:
    """A live table, as far as a picture shows it."""

    def __init__(self, refused=None):
        self.snapshot = SimpleNamespace(table=SimpleNamespace(routes=("one", "two")))
        self.refused = refused

    def state(self):
        return {"version": "abc", "origin": "file", "since": "2026-01-01T00:00:00+00:00", "refused": self.refused}


def told(worker="0-0", **changes):
    whole = picture(collaborators(health=FakeHealth()), Table())
    return deepcopy(whole) | {"worker": worker} | changes


def a_service(breaker="closed", **changes):
    return {
        "breaker": breaker, "reason": "", "held": None, "retry_after": 0.0, "for_seconds": None, "in_flight": 2,
        "waiting": 1, "methods": {}, "consumers": 2, "lane": None,
    } | changes  # fmt: skip


def joined(*pictures, silent=0):
    return merged(pictures[0], pictures[1:], silent=silent, wall=WALL)


def test_one_worker_alone_is_a_whole_edge():
    whole = joined(told())

    assert whole["verdict"] == "ok"
    assert [one["told_this"] for one in whole["workers"]] == [True]
    assert whole["traffic"]["p50_ms"] is None
    assert len(whole["traffic"]["series"]["rate"]) == len(whole["traffic"]["series"]["p99_ms"]) == SLOTS - 1


def test_rates_of_all_workers_are_added_slot_by_slot():
    first = told(history=[[NUMBER - 1, 1, 0, {"3": 10}], [NUMBER, 0, 0, {"3": 99}]], requests=109)
    second = told("0-1", history=[[NUMBER - 1, 0, 2, {"3": 6, "20": 4}], [NUMBER - 2, 0, 0, {"5": 1}]], requests=11)

    traffic = joined(first, second)["traffic"]

    assert traffic["series"]["rate"][-2:] == [0.5, 10.0]
    assert traffic["series"]["failed"][-1] == 1.0
    assert traffic["rate"] == 2.1
    assert (traffic["failed_share"], traffic["refused_share"]) == (round(2 / 21, 4), round(1 / 21, 4))
    assert traffic["total"] == 120
    assert traffic["p99_ms"] > traffic["p50_ms"]


def test_the_worst_that_any_worker_sees_is_shown_and_by_how_many():
    first = told(services={"catalog": a_service(methods={"get_product": a_service()})})
    failed = a_service("open", reason="5 calls in a row were not answered", for_seconds=3.0)
    second = told("0-1", services={"catalog": a_service(methods={"get_product": failed})})

    [catalog] = joined(first, second)["services"]

    assert (catalog["in_flight"], catalog["waiting"], catalog["consumers"]) == (4, 2, 2)
    [method] = catalog["methods"]
    assert method["breaker"]["state"] == "open"
    assert method["breaker"]["workers"] == 1
    assert method["breaker"]["for_seconds"] == 3.0


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"services": {"catalog": a_service("half_open")}}, "degraded"),
        ({"services": {"catalog": a_service(consumers=0)}}, "degraded"),
        ({"dependencies": {"redis": "degraded"}}, "degraded"),
        ({"ready": False}, "ok"),
    ],
    ids=["a-breaker", "nobody-listens", "a-dependency", "one-worker-leaves"],
)
def test_what_is_wrong_anywhere_is_said_at_the_top(changes, verdict):
    assert joined(told(), told("0-1", **changes))["verdict"] == verdict


def test_an_edge_none_of_whose_workers_can_serve_is_down():
    assert joined(told(ready=False), told("0-1", ready=False))["verdict"] == "down"


def test_frames_of_all_workers_have_one_median():
    def lane(**batches):
        return {"in_flight": 1, "waiting": 0, "shared": 0, "batches": {name[1:]: n for name, n in batches.items()}}

    first = told(services={"catalog": a_service(lane=lane(_1=10, _8=4))})
    second = told("0-1", services={"catalog": a_service(lane=lane(_8=20))})

    assert joined(first, second)["services"][0]["lane"] == {
        "in_flight": 2, "waiting": 0, "shared": 0, "frames": 34, "median_batch": 8,
    }  # fmt: skip


def test_workers_with_different_tables_and_silent_ones_are_noticed():
    other = told("0-1")
    other["routes"] = other["routes"] | {"version": "def"}

    whole = joined(told(), other, silent=1)

    assert whole["table_versions"] == 2
    assert whole["silent_workers"] == 1


def test_a_refused_table_is_shown_with_no_more_than_a_page_can_hold():
    faults = [f"{number}: {'x' * 1000}" for number in range(40)]
    refused = {"version": "bad", "origin": "consul", "since": "2026-01-01T00:00:00+00:00", "faults": faults}

    shown = picture(collaborators(), Table(refused))["routes"]["refused"]

    assert len(shown["faults"]) == 10
    assert shown["more"] == 30
    assert max(map(len, shown["faults"])) == 200
