"""Requests that nginx answered itself, as no edge did: how they are told of."""

from datetime import timedelta

import pytest

from kirana.logbook import Query, entries
from kirana.logbook.identifying import sought
from kirana.logbook.spans import Trouble, tree_of
from kirana.logbook.story import story_of
from kirana.logbook.summaries import failures, slowest
from kirana.logbook.verdict import judged
from shared.values.times import from_rfc3339
from tests.builders.log_lines import a_line, ran, served, write

SINCE = Query(since=from_rfc3339("2026-11-21T09:00:00Z"))
SILENT = "the edge did not answer in time: 10.0.0.7:8000 (504)"
ID = "5d0c1f2e-8a77-4b1c-8f0e-0a1b2c3d4e5f"


def refused_at_front(at, status=503, *, took=0.5, reason="no edge took the connection: 10.0.0.7:8000 (502)", **more):
    """What nginx writes of a request that no edge answered; it knows of no spans."""
    fields = {
        "where": "nginx-1",
        "http.request.method": "POST",
        "url.path": "/api/orders",
        "http.response.status_code": status,
        "event.duration": int(took * 1e9),
        "event.outcome": "failure" if status >= 500 else "success",
        "labels": {"code": "edge.away", "reason": reason},
    }
    return a_line(at, "front.answered", **fields | more)


def verdict_of(*lines):
    return judged(tree_of(sorted(lines, key=lambda line: line["@timestamp"])))


def test_a_request_that_reached_no_edge_failed_at_the_front_for_the_reason_that_it_tells():
    (root,) = tree_of([refused_at_front(1.0)])
    verdict = judged([root])

    assert (root.name, root.status, root.code) == ("POST /api/orders", 503, "edge.away")
    assert (verdict.outcome, verdict.reason) == ("failed", "no edge took the connection: 10.0.0.7:8000 (502)")
    assert [span.where for span in verdict.path] == ["nginx-1"]


def test_one_that_the_front_refused_is_broken_nowhere():
    assert verdict_of(refused_at_front(1.0, 413, reason="the body is larger")).outcome == "refused"


@pytest.mark.parametrize(
    "last", [[], [served(64.9, 499, took=64.8, **{"span.id": "e"})]], ids=["killed", "left by the front"]
)
def test_what_the_edge_did_meanwhile_stands_below_and_was_given_up_by_the_front(last):
    working = a_line(0.5, "edge.something", where="edge-1", span="e")

    roots = tree_of([working, *last, refused_at_front(65.0, took=65.0, reason=SILENT)])

    (root,) = roots
    (edge,) = root.children
    assert (edge.where, edge.given_up, edge.trouble) == ("edge-1", SILENT, Trouble.FAILED)
    verdict = judged(roots)
    assert SILENT in verdict.reason
    assert [span.where for span in verdict.path] == ["nginx-1", "edge-1"]


def test_the_service_over_which_an_edge_was_silent_is_the_one_to_blame():
    slow = ran(70.0, "catalog.get_products", took=69.0, code="service.unavailable", labels={"reason": "locked"})

    verdict = verdict_of(served(71.0, 503, took=70.9), slow, refused_at_front(65.0, took=65.0, reason=SILENT))

    assert [span.where for span in verdict.path] == ["nginx-1", "edge-1", "catalog-1"]
    assert "locked" in verdict.reason


def test_another_request_of_the_same_id_is_not_the_fronts():
    roots = tree_of([refused_at_front(1.0), served(30.0, 201, took=0.1)])

    assert [root.where for root in roots] == ["nginx-1", "edge-1"]
    assert not roots[0].children


def test_it_is_found_by_status_time_and_cause_and_a_near_id(tmp_path):
    write(tmp_path, refused_at_front(1.0, request=ID), refused_at_front(2.0, request="other"))

    assert len(list(entries(tmp_path, Query(status="503")))) == 2
    assert len(list(entries(tmp_path, Query(slower=timedelta(milliseconds=400))))) == 2
    (cause,) = failures(tmp_path, SINCE, 5)
    assert (cause.count, cause.story.verdict.reason) == (2, "no edge took the connection: 10.0.0.7:8000 (502)")
    assert [each.where for each in slowest(tmp_path, SINCE, 5)] == ["in nginx-1", "in nginx-1"]
    assert sought(tmp_path, ID[:-1] + "0").candidates[0].what == "POST /api/orders 503"


def test_that_the_edge_had_stopped_is_told_beside_it(tmp_path):
    line = refused_at_front(10.0, request=ID)
    write(tmp_path, a_line(2.0, "edge.worker.closed", where="edge-1", request=None), line)

    story = story_of(ID, [line], tmp_path)

    assert [each["message"] for each in story.meanwhile] == ["edge.worker.closed"]
