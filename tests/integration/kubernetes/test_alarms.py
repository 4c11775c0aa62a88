"""In the cluster ring the alarms that ring in containers, on what its operators' exporters tell, and reach the same."""

import json
import re
import subprocess
from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from tests.builders import cluster_dashboards
from tests.builders.cluster_alarms import ELSEWHERE, MADE, NAMESPACE, ONLY_IN_CONTAINERS, in_cluster, made
from tests.builders.manifests import PROCESSES
from tests.builders.prometheus import CONFIGURATION
from tests.builders.promql import DASHBOARDS, alarms, matchers_of, metrics_of, panel_queries, recorded

CASES = sorted((Path(__file__).parents[1] / "monitoring" / "cases").glob("*.yml"))
OPERATORS = yaml.safe_load((Path(__file__).parent / "operators.yml").read_text())
IN_CONTAINERS = {each["job_name"]: each for each in yaml.safe_load(CONFIGURATION.read_text())["scrape_configs"]}
OURS = ("kirana_", "process_", "up")
SELECTED_BY = {"release": "prometheus"}


@pytest.fixture
def groups(prod):
    return prod.one("PrometheusRule", "kirana")["spec"]["groups"]


@pytest.fixture
def panels(prod):
    """Every question of every dashboard."""
    return [
        target["expr"]
        for name, resource in prod.of("ConfigMap").items()
        if name.startswith("dashboard-")
        for text in resource["data"].values()
        for panel in json.loads(text)["panels"]
        for target in panel.get("targets", ())
    ]


@pytest.fixture
def told(prod):
    return prod.one("AlertmanagerConfig", "kirana")["spec"]


def rules_of(groups):
    return [rule for group in groups for rule in group["rules"]]


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stdout + done.stderr


def receiver_of(path, *pairs):
    words = ["amtool", "config", "routes", "test", f"--config.file={path}", "alertname=Any", *pairs]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def pods_of(prod):
    """The labels of every pod that a monitor may choose, the operators' as their resources give them."""
    for name in PROCESSES:
        yield prod.one("Deployment", name)["spec"]["template"]["metadata"]["labels"]
    for resource in prod.of("RabbitmqCluster", "Cluster", "Redis").values():
        yield resource["metadata"]["labels"]


def chosen(selector, labels):
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        each["operator"] == "In" and labels.get(each["key"]) in each["values"]
        for each in selector.get("matchExpressions", ())
    )


def asked(prod):
    """``(job, endpoint)`` for each endpoint of each pod, as the operator's own relabelling gives the job."""
    for name, monitor in prod.of("PodMonitor").items():
        spec = monitor["spec"]
        for labels in pods_of(prod):
            if chosen(spec["selector"], labels):
                for endpoint in spec["podMetricsEndpoints"]:
                    job = labels.get(spec.get("jobLabel"), f"{NAMESPACE}/{name}")
                    for rule in endpoint.get("relabelings", ()):
                        job = rule["replacement"] if rule["targetLabel"] == "job" else job
                    yield job, endpoint


def test_the_alarms_of_the_cluster_are_those_of_the_containers():
    assert MADE.read_text() == made(), "Next: PYTHONPATH=. .venv/bin/python -m tests.builders.cluster_alarms"


def test_the_dashboards_of_the_cluster_are_those_of_the_containers(prod, panels):
    """Found by Grafana's sidecar, and small enough for `kubectl apply`, which notes all of it in an annotation."""
    assert cluster_dashboards.MADE.read_text() == cluster_dashboards.made(), (
        "Next: PYTHONPATH=. .venv/bin/python -m tests.builders.cluster_dashboards"
    )
    shown = [each for name, each in prod.of("ConfigMap").items() if name.startswith("dashboard-")]
    assert [each["metadata"]["labels"] for each in shown] == [{"grafana_dashboard": "1"}] * len(DASHBOARDS)
    assert max(len(text) for each in shown for text in each["data"].values()) < 200_000
    assert len(panels) == len([*panel_queries()])


def test_a_panel_that_sums_over_everybody_sums_over_the_shop_alone_in_the_cluster(panels):
    told_by_anybody = ("up", "process_")
    over_all = [query for query in panels if any(name.startswith(told_by_anybody) for name in metrics_of(query))]

    assert len(over_all) == 4
    assert not [query for query in over_all if f'{{namespace="{NAMESPACE}"}}' not in query]


def test_prometheus_reads_them(groups, tmp_path):
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": groups}))

    content, said = run("promtool", "check", "rules", path)

    assert content, said
    assert {rule["alert"] for rule in rules_of(groups) if "alert" in rule} == alarms().keys() - ONLY_IN_CONTAINERS
    assert alarms().keys() >= ONLY_IN_CONTAINERS


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_they_ring_in_the_same_cases(case, groups, tmp_path):
    """With the operators' names, and the namespace on each alarm."""
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": groups}))
    text = yaml.safe_load(case.read_text())
    text["rule_files"] = ["rules.yml"]
    for each in text["tests"]:
        each["alert_rule_test"] = [one for one in each["alert_rule_test"] if one["alertname"] not in ONLY_IN_CONTAINERS]
        for series in each.get("input_series", ()):
            series["series"] = in_cluster(series["series"]).replace('"}{', '",')
        for expected in (alarm for test in each["alert_rule_test"] for alarm in test["exp_alerts"]):
            expected["exp_labels"]["namespace"] = NAMESPACE
    (tmp_path / "case.yml").write_text(yaml.safe_dump(text))

    content, said = run("promtool", "test", "rules", tmp_path / "case.yml")

    assert content, said


def test_every_job_that_a_rule_names_is_one_that_a_monitor_gives(prod, groups):
    named = {
        job
        for rule in rules_of(groups)
        for matcher in matchers_of(rule["expr"])
        if matcher.label == "job"
        for job in matcher.alternatives
    }

    assert named == {*PROCESSES, "shipper"}
    assert named <= {job for job, _ in asked(prod)}


def test_every_target_has_the_job_that_it_has_in_containers(prod):
    ours = {name.removesuffix("-green") for name in IN_CONTAINERS["kirana"]["dns_sd_configs"][0]["names"]}
    others = IN_CONTAINERS.keys() - {"kirana", "prometheus", "alertmanager", "front"}

    assert {job for job, _ in asked(prod)} == ours | others


def test_an_endpoint_of_a_store_is_the_one_that_its_operator_opens_and_asks_as_containers_are_asked(prod):
    for job, endpoint in asked(prod):
        store = job.partition("-")[0]
        if store in OPERATORS:
            assert endpoint["port"] == OPERATORS[store]["port"], job
            path = endpoint.get("path", "/metrics")
            assert path in OPERATORS[store], job
            assert endpoint.get("params") == IN_CONTAINERS[job].get("params"), job
    paths = {(job.partition("-")[0], endpoint.get("path", "/metrics")) for job, endpoint in asked(prod)}
    assert paths >= {(store, path) for store, told in OPERATORS.items() for path in told if path.startswith("/")}


def test_every_metric_that_a_rule_or_a_panel_asks_for_is_told_in_the_cluster_under_that_name(groups, panels):
    of_stores = {name for told in OPERATORS.values() for path in told if path != "port" for name in told[path]}
    asked = [rule["expr"] for rule in rules_of(groups)] + panels
    wanted = {name for query in asked for name in metrics_of(query)} - recorded().keys()

    assert {name for name in wanted if not name.startswith(OURS)} == of_stores
    assert not wanted & ELSEWHERE.keys()


def test_redis_has_the_exporter_that_its_monitor_asks(prod):
    for redis in prod.of("Redis").values():
        assert redis["spec"]["redisExporter"]["enabled"] is True


def test_what_watches_is_what_the_clusters_prometheus_selects(prod):
    watching = [each for each in prod.all if each["apiVersion"].startswith("monitoring.coreos.com/")]

    assert {each["kind"] for each in watching} == {"PodMonitor", "PrometheusRule", "AlertmanagerConfig"}
    for each in watching:
        assert each["metadata"]["labels"] == SELECTED_BY, each["kind"]


def as_the_operator_makes_it(told):
    """Alertmanager's own file: everything holds for alarms of the namespace, and under names of its own."""
    text = yaml.safe_dump(deepcopy(told))
    spec = yaml.safe_load(re.sub(r"\b([a-z]+)([A-Z])([a-z]+)(?=:)", lambda m: f"{m[1]}_{m[2].lower()}{m[3]}", text))

    def route(each):
        return each | {
            "receiver": f"{NAMESPACE}/kirana/{each['receiver']}",
            "matchers": [plain(matcher) for matcher in each.get("matchers", ())],
            "routes": [route(below) for below in each.get("routes", ())],
        }

    def plain(matcher):
        return f'{matcher["name"]}{matcher.get("match_type", "=")}"{matcher["value"]}"'

    whole = route(spec["route"])
    whole["matchers"].append(f'namespace="{NAMESPACE}"')
    receivers = [
        {
            "name": f"{NAMESPACE}/kirana/{each['name']}",
            "email_configs": [
                mail | {"headers": {header["key"]: header["value"] for header in mail["headers"]}}
                for mail in each["email_configs"]
            ],
        }
        for each in spec["receivers"]
    ]
    return {
        "global": {"smtp_smarthost": "mail:25", "smtp_from": "alarms@kirana.example"},
        "route": {"receiver": "of-the-cluster", "routes": [whole]},
        "inhibit_rules": [
            {"equal": rule.get("equal", [])}
            | {f"{side}_matchers": [plain(each) for each in rule[f"{side}_match"]] for side in ("source", "target")}
            for rule in spec["inhibit_rules"]
        ],
        "receivers": [{"name": "of-the-cluster"}, *receivers],
    }


def test_alarms_reach_in_the_cluster_whom_they_reach_in_containers(told, groups, tmp_path):
    path = tmp_path / "alertmanager.yml"
    path.write_text(yaml.safe_dump(as_the_operator_makes_it(told)))

    content, said = run("amtool", "check-config", path)
    assert content, said
    for labels in {tuple(rule["labels"].items()) for rule in rules_of(groups) if "alert" in rule}:
        pairs = [f"{name}={value}" for name, value in labels]
        assert receiver_of(path, *pairs) == f"{NAMESPACE}/kirana/{dict(labels)['severity']}"
    assert receiver_of(path, "namespace=other", "severity=page") == "of-the-cluster"
