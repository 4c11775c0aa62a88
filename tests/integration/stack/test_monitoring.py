"""What rules and dashboards ask for is really told by a running stack, and a real Prometheus makes sense of it all."""

from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from shipper.metering import Meters
from tests.builders.prometheus import Prometheus
from tests.builders.promql import everything_asked, panel_queries, recorded, rules
from tests.builders.shop import a_customer, a_product, an_admin, ordered, settled
from tests.builders.waiting import eventually

EXPORTERS = yaml.safe_load((Path(__file__).parents[1] / "monitoring" / "exporters.yml").read_text())
ELSEWHERE = {name for names in EXPORTERS.values() for name in names}
PATIENCE_SECONDS = 60


def told_by(address):
    """The names of all samples at this address; none while it does not answer."""
    try:
        answer = httpx.get(address, timeout=10)
    except httpx.TransportError:  # it may just restart
        return set()
    return {sample.name for family in text_string_to_metric_families(answer.text) for sample in family.samples}


def told_by_the_shipper():
    """It runs beside a stack that has an Elasticsearch; what it tells is there from its start."""
    text = "".join(Meters().rendered())
    return {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}


def trade(stack):
    """An order, and a question for what is not there."""
    with an_admin(stack) as admin, a_customer(stack) as customer:
        answer = ordered(customer, (a_product(admin)["id"], 1))
        assert answer.status_code == 201, answer.text
        assert settled(lambda: customer.get("/api/products/999999999")).status_code == 404


@pytest.fixture(scope="module")
def prometheus(stack):
    """Asks every process of the stack; a job is a service, as in containers."""
    targets = {}
    for program, address in stack.metrics.items():
        targets.setdefault(program.rpartition("-")[0] or program, []).append(urlsplit(address).netloc)
    trade(stack)
    with Prometheus(targets) as server:
        yield server


def test_the_stack_tells_every_metric_that_rules_and_dashboards_ask_for(stack):
    asked = {name: where for where, name in everything_asked()}
    wanted = asked.keys() - recorded().keys() - ELSEWHERE
    trade(stack)

    def missing():
        told = told_by_the_shipper().union(*(told_by(address) for address in stack.metrics.values()))
        return {name: asked[name] for name in wanted - told}

    assert len(wanted) > 50
    eventually(lambda: not missing(), within=PATIENCE_SECONDS, what=f"all of {missing()}")


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
