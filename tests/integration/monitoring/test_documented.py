"""The table of metrics names the alarms that ring on each, and claims no other."""

import re

import pytest

from tests.builders.promql import ROOT, alarms, metrics_beneath, metrics_of

ROW = re.compile(r"^\| `(kirana_\w+)` \|.*\|([^|]*)\|$", re.MULTILINE)
LINK = re.compile(r"\[(\w+)\]\(runbook\.md#(\w+)\)")
DOCUMENTED = dict(ROW.findall((ROOT / "docs" / "metrics.md").read_text()))


def alarms_on(metric):
    """Those whose question comes down to it, whichever of a histogram's series they ask for."""
    return {
        name
        for name, rule in alarms().items()
        for asked in metrics_of(rule["expr"])
        for below in metrics_beneath(asked)
        if re.sub(r"_(bucket|count|sum)$", "", below) == metric
    }


@pytest.mark.parametrize("metric", sorted(DOCUMENTED))
def test_a_metric_names_the_alarms_that_ring_on_it_or_says_what_is_worth_a_look(metric):
    said = LINK.findall(DOCUMENTED[metric])
    rest = LINK.sub("", DOCUMENTED[metric]).strip(" ,;")

    assert {name for name, _ in said} == alarms_on(metric)
    assert all(place == name.lower() for name, place in said)
    assert rest == "" or rest.startswith(("worth a look: ", "nothing"))


def test_alarms_are_found_in_the_table():
    assert {name for cell in DOCUMENTED.values() for name, _ in LINK.findall(cell)} >= {
        "CallsUnwell",
        "HttpBreakerOpen",
    }
    assert "EdgeErrorBudgetBurnsFast" in alarms_on("kirana_edge_request_seconds")
