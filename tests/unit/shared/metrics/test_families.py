import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from shared.metrics import families
from shared.metrics.counting import (
    METHODS,
    calling,
    handled,
    parked_from,
    published,
    redeliveries_of,
    registry,
    running,
)
from shared.metrics.families import FAMILIES
from shared.metrics.outcomes import ANSWERED
from shared.metrics.rendering import rendered
from shipper.metering import FAMILIES as OF_THE_SHIPPER

DOCUMENTED = re.compile(r"^\| `(kirana_\w+)` \| (\w+) \| ([^|]*)\|", re.MULTILINE)
EVERYBODYS = (*FAMILIES, *OF_THE_SHIPPER)
PAGE = Path(__file__).parents[4] / "docs" / "metrics.md"
UNITS = {
    "counter": ("_total",),
    "histogram": ("_seconds", "_size"),
    "gauge": (
        "_seconds",
        "_state",
        "_connected",
        "_in_flight",
        "_limit",
        "_waiting",
        "_revocations",
        "_complete",
        "_consumers",
        "_workers",
        "_in_force",
        "_refused",
        "_connections",
        "_instances",
        "_bytes",
        "_open",
        "_units",
        "_products",
        "_info",
    ),
}


def names(*parts):
    return {each.name for each in parts}


@pytest.mark.parametrize("family", EVERYBODYS, ids=lambda family: family.name)
def test_a_name_says_whose_it_is_and_in_what_it_is_measured(family):
    assert re.fullmatch(r"kirana(_[a-z]+)+", family.name)
    assert family.name.endswith(UNITS[family.kind])
    assert (family.kind == "counter") == family.name.endswith("_total")
    assert bool(family.buckets) == (family.kind == "histogram")


@pytest.mark.parametrize("family", EVERYBODYS, ids=lambda family: family.name)
def test_no_label_is_part_of_the_name_or_a_word_that_prometheus_keeps(family):
    assert not {"job", "instance", "le", "worker"} & set(family.labels)
    assert not [label for label in family.labels if label in family.name.split("_")]


def test_every_family_is_listed_once():
    declared = [each for each in vars(families).values() if isinstance(each, families.Family)]

    assert sorted(declared) == sorted(FAMILIES)
    assert len(names(*FAMILIES)) == len(FAMILIES)


def test_the_documentation_has_every_metric_with_its_type_and_labels_and_no_other():
    documented = {
        name: (kind, tuple(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels in DOCUMENTED.findall(PAGE.read_text())
    }

    assert documented == {each.name: (each.kind, each.labels) for each in EVERYBODYS}


def test_whatever_methods_are_called_their_series_come_from_the_contracts():
    known = ("catalog", "get_product")
    calling[known].ended(ANSWERED, 0.01)
    for number in range(100):
        calling["catalog", f"no_method_{number}"].ended(ANSWERED, 0.01)
        running[f"nobody-{number}", "get_product"].ended(ANSWERED, 0.01)

    assert len(calling) <= len(METHODS) + 1
    assert len(running) <= len(METHODS) + 1
    assert seen("kirana_rpc_calls_total", service="other", method="other", outcome="answered") >= 100


def test_an_event_that_no_contract_knows_counts_as_another():
    before = seen("kirana_events_published_total", type="other") or 0

    published("visitor's own words")
    published("order.placed")

    assert seen("kirana_events_published_total", type="other") == before + 1
    assert seen("kirana_events_published_total", type="visitor's own words") is None


def test_a_call_that_came_before_it_was_sent_by_another_clock_waited_for_nothing():
    running["cart", "get_cart"].queued(-0.2)

    assert seen("kirana_rpc_queue_seconds_sum", service="cart", method="get_cart") == 0


def test_what_an_alarm_must_see_rise_from_zero_is_there_before_it_happens():
    parked_from("catalog", "rpc-catalog")
    redeliveries_of("catalog")
    handled("order.placed")

    assert seen("kirana_messages_parked_total", service="catalog", **{"from": "rpc-catalog"}) is not None
    assert seen("kirana_rpc_redeliveries_total", service="catalog") is not None
    assert seen("kirana_events_handled_total", type="order.placed", outcome="parked") is not None


def test_what_is_counted_reads_back_as_it_was_declared():
    calling["order", "place_order"].ended(ANSWERED, 0.01)
    declared = {each.name.removesuffix("_total"): each for each in FAMILIES}

    read = list(text_string_to_metric_families("".join(rendered([registry]))))
    ours = [each for each in read if each.name.startswith("kirana_")]

    assert ours
    for each in ours:
        assert (each.type, each.documentation) == (declared[each.name].kind, declared[each.name].meaning)
        assert {frozenset(sample.labels) - {"le"} for sample in each.samples} == {frozenset(declared[each.name].labels)}


def seen(name, **labels):
    return registry.get_sample_value(name, labels)
