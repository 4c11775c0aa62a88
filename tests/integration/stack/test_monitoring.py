"""What rules and dashboards ask for is really told by a running stack, and a real Prometheus makes sense of it all."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from shipper.metering import Meters
from tests.builders.prometheus import CONFIGURATION, Prometheus
from tests.builders.promql import (
    everything_asked,
    everything_matched,
    grouped_by,
    metrics_beneath,
    metrics_of,
    panel_queries,
    recorded,
    rules,
)
from tests.builders.shop import a_customer, a_product, an_admin, ordered, settled, unique
from tests.builders.waiting import eventually

EXPORTERS = yaml.safe_load((Path(__file__).parents[1] / "monitoring" / "exporters.yml").read_text())
ELSEWHERE = {name for names in EXPORTERS.values() for name in names}
PATIENCE_SECONDS = 60

JOBS = {each["job_name"] for each in yaml.safe_load(CONFIGURATION.read_text())["scrape_configs"]}
"""What others than our own processes are scraped as, who tell of themselves by the same names."""

ONLY_IN_TROUBLE = {
    ("kirana_edge_request_seconds_count", "status", "5.."): "a fault of ours, which no healthy shop answers with",
}
"""What no test of a healthy stack can see, with why; by metric, label and pattern."""


def samples_in(text, job):
    """Name and labels of each sample, as Prometheus keeps them."""
    families = text_string_to_metric_families(text)
    return [
        (sample.name, sample.labels | {"job": job, "instance": ""}) for family in families for sample in family.samples
    ]


def told_by(program, address):
    """All samples at this address; none while it does not answer."""
    try:
        answer = httpx.get(address, timeout=10)
    except httpx.TransportError:  # it may just restart
        return []
    return samples_in(answer.text, job_of(program))


def told_by_the_shipper():
    """It runs beside a stack that has an Elasticsearch; what it tells is there from its start."""
    return samples_in("".join(Meters().rendered()), "shipper")


def told_by_all(stack):
    """The labels of all series there are now, by name."""
    found = {}
    for name, labels in told_by_the_shipper() + [
        sample for program, address in stack.metrics.items() for sample in told_by(program, address)
    ]:
        found.setdefault(name, []).append(labels)
    processes = {labels["job"] for labels in found["process_start_time_seconds"]}
    found["up"] = [{"job": job, "instance": ""} for job in processes]  # made by Prometheus
    return found


def job_of(program):
    """A job is a service, as in containers."""
    return program.rpartition("-")[0] or program


def trade(stack):
    """An order that is taken back, one from a cart, and a question for what is not there."""
    with an_admin(stack) as admin, a_customer(stack) as customer:
        product = a_product(admin)["id"]
        first = ordered(customer, (product, 1))
        assert first.status_code == 201, first.text
        done = [
            settled(lambda: customer.post(f"/api/orders/{first.json()['id']}/cancel")),
            settled(lambda: customer.post("/api/cart/items", json={"product_id": product, "quantity": 1})),
        ]
        key = unique("key")
        done.append(settled(lambda: customer.checkout(key=key)))
        assert all(each.is_success for each in done), [each.text for each in done]
        assert settled(lambda: customer.get("/api/products/999999999")).status_code == 404


@pytest.fixture(scope="module")
def prometheus(stack):
    """Asks every process of the stack; a job is a service, as in containers."""
    targets = {}
    for program, address in stack.metrics.items():
        targets.setdefault(job_of(program), []).append(urlsplit(address).netloc)
    trade(stack)
    with Prometheus(targets) as server:
        yield server


def test_the_stack_tells_every_metric_that_rules_and_dashboards_ask_for(stack):
    asked = {name: where for where, name in everything_asked()}
    wanted = asked.keys() - recorded().keys() - ELSEWHERE
    trade(stack)

    def missing():
        return {name: asked[name] for name in wanted - told_by_all(stack).keys()}

    assert len(wanted) > 50
    eventually(lambda: not missing(), within=PATIENCE_SECONDS, what=lambda: f"all of {missing()}")


def is_told(matcher, pattern, series):
    """Whether a series has that label with a value that the pattern means."""
    if matcher.label == "job" and matcher.operator.startswith("!") and pattern in JOBS:
        return True
    if (matcher.metric, matcher.label, pattern) in ONLY_IN_TROUBLE:
        return any(matcher.label in labels for labels in series)
    return any(re.fullmatch(pattern, labels[matcher.label]) for labels in series if matcher.label in labels)


def test_the_stack_tells_every_label_by_which_rules_and_dashboards_choose(stack):
    wanted = {
        (where, matcher, below)
        for where, matcher in everything_matched()
        for below in metrics_beneath(matcher.metric)
        if below not in ELSEWHERE - {"up"}
    }
    trade(stack)

    def missing():
        told = told_by_all(stack)
        return {
            (where, matcher.metric, matcher.label, pattern)
            for where, matcher, below in wanted
            for pattern in matcher.alternatives
            if not is_told(matcher._replace(metric=below), pattern, told.get(below, []))
        }

    assert len(wanted) > 60
    eventually(lambda: not missing(), within=PATIENCE_SECONDS, what=lambda: f"all of {missing()}")


def test_the_stack_tells_every_label_by_which_rules_and_panels_group(stack):
    asked = [*((rule.get("alert") or rule["record"], rule["expr"]) for rule in rules()), *panel_queries()]
    trade(stack)

    def missing():
        told = told_by_all(stack)
        found = set()
        for where, query in asked:
            below = {each for name in metrics_of(query) for each in metrics_beneath(name)}
            if not below & ELSEWHERE - {"up"}:
                known = {label for name in below for labels in told.get(name, ()) for label in labels}
                found |= {(where, label) for label in grouped_by(query) - known}
        return found

    assert asked
    eventually(lambda: not missing(), within=PATIENCE_SECONDS, what=lambda: f"all of {missing()}")


def test_what_only_trouble_shows_is_asked_for():
    asked = {
        (below, matcher.label, pattern)
        for _, matcher in everything_matched()
        for below in metrics_beneath(matcher.metric)
        for pattern in matcher.alternatives
    }

    assert not ONLY_IN_TROUBLE.keys() - asked


def test_the_list_of_what_others_tell_has_nothing_that_nobody_asks_for():
    assert {name for _, name in everything_asked()} & ELSEWHERE | {"ALERTS"} == ELSEWHERE


def test_prometheus_reaches_every_process_of_the_stack(stack, prometheus):
    def are_up():
        found = prometheus.ask("targets")["activeTargets"]
        return len(found) == len(stack.metrics) and all(each["health"] == "up" for each in found)

    eventually(are_up, within=PATIENCE_SECONDS, what="every target")


def test_prometheus_computes_every_rule_without_a_fault(prometheus):
    def judged():
        loaded = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
        return len(loaded) == len(rules()) and {rule["health"] for rule in loaded} == {"ok"}

    eventually(judged, within=PATIENCE_SECONDS, what="every rule")


def test_prometheus_understands_every_panel(prometheus):
    for where, query in panel_queries():
        text = query.replace("$service", ".*").replace("$route", ".*")

        assert "$" not in text, where
        prometheus.ask("query", query=text)


def test_traffic_of_the_shop_arrives_in_what_is_recorded(stack, prometheus):
    def orders_a_second():
        trade(stack)  # a rate needs what happens between two looks
        return prometheus.value('sum(route:requests:rate5m{route="place_order", method="POST", status="201"})')

    eventually(orders_a_second, within=PATIENCE_SECONDS, what="the rate of orders")
    undecided = eventually(lambda: prometheus.ask("query", query="slo:orders_undecided:ratio5m")["result"])
    assert 0 <= float(undecided[0]["value"][1]) <= 1
