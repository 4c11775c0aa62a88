from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from edge.admission.door import Admission
from edge.admission.priorities import priority_faults, priority_of, upstream_of
from edge.metrics.admission import AdmissionState
from shared.resilience.adaptive import LimitPolicy, Priority

TIGHT = LimitPolicy(first=4, least=4)


def a_policy(**words):
    absent = dict.fromkeys(("priority", "local", "call", "http", "aggregate"))
    return SimpleNamespace(**absent | {"method": "GET"} | words)


@pytest.mark.parametrize(
    ("words", "priority"),
    [
        pytest.param({"local": "alive"}, Priority.HEALTH, id="alive"),
        pytest.param({"local": "ready"}, Priority.HEALTH, id="ready"),
        pytest.param({"priority": "checkout", "method": "POST"}, Priority.CHECKOUT, id="as it says"),
        pytest.param({"method": "GET"}, Priority.READ, id="GET"),
        pytest.param({"method": "DELETE"}, Priority.WRITE, id="anything else"),
    ],
)
def test_a_route_matters_as_it_says_or_as_its_method_does(words, priority):
    assert priority_of(a_policy(**words)) is priority


def test_only_health_routes_can_never_be_refused():
    assert list(priority_faults(a_policy(priority="health", call="catalog.get_product"), None))
    assert not list(priority_faults(a_policy(priority="health", local="ready"), None))


def test_each_service_has_a_limit_of_its_own_and_the_edge_has_one_for_itself():
    assert upstream_of(a_policy(call="catalog.get_product")) == "catalog"
    assert upstream_of(a_policy(local="log_in")) == "identity"
    assert upstream_of(a_policy(local="openapi")) == "edge"


def test_shedding_is_told_when_it_begins_and_when_it_has_ended_and_not_in_between():
    admission = Admission(TIGHT)
    limit = admission.limit_of("catalog")
    for _ in range(4):
        limit.enter()
    with capture_logs() as told:
        for _ in range(20):
            limit.admits(Priority.READ)
            admission.beat(0.0)
        for _ in range(100):
            admission.beat(0.0)

    assert [(line["event"], line["upstream"]) for line in told] == [
        ("edge.admission.shedding", "catalog"),
        ("edge.admission.calm", "catalog"),
    ]


def test_a_loop_that_comes_late_for_long_lets_fewer_in_and_one_late_beat_does_nothing():
    admission = Admission(LimitPolicy(first=512))
    limit = admission.limit_of("catalog")
    admission.beat(0.3)
    after_one = limit.limit
    for _ in range(20):
        admission.beat(0.3)

    assert after_one == 512
    assert limit.limit < 100


def test_what_it_does_is_told_as_metrics():
    admission = Admission(TIGHT)
    limit = admission.limit_of("catalog")
    for _ in range(4):
        limit.enter()
    limit.admits(Priority.READ)
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in AdmissionState(admission).collect()
        for sample in family.samples
    }

    assert found["kirana_edge_admitted_limit", "catalog"] == 4
    assert found["kirana_edge_admitted_in_flight", "catalog"] == 4
    assert found["kirana_edge_shed_total", "catalog", "read"] == 1
    assert found["kirana_edge_shed_total", "catalog", "checkout"] == 0
    assert found["kirana_edge_loop_lag_seconds",] == 0
