"""Autoscalers judge by metrics that processes really tell, through rules that give a figure at every load."""

import re
import subprocess

import pytest
import yaml

from shared.persistence.engine import CONNECTIONS, SPARE_CONNECTIONS
from tests.builders.manifests import PROCESSES, ROOT

KEPT_FREE = 60
"""Connections to PostgreSQL for replicas, back-ups, migrations and people."""


@pytest.fixture(scope="session")
def rules(rendered):
    return yaml.safe_load(rendered["adapter"].one("ConfigMap", "prometheus-adapter")["data"]["config.yaml"])["rules"]


def metric_of(rule):
    return re.match(r"\w+", rule["seriesQuery"])[0]


def named(rule):
    """What the adapter calls a rule's metric."""
    return re.sub(rule["name"]["matches"], rule["name"]["as"].replace("${1}", r"\1"), metric_of(rule))


def query_of(rule, pods):
    """The query that the adapter makes for some pods of the namespace."""
    return (
        rule["metricsQuery"]
        .replace("<<.Series>>", metric_of(rule))
        .replace("<<.LabelMatchers>>", f'namespace="kirana",pod=~"{pods}"')
        .replace("<<.GroupBy>>", "pod")
    )


def test_every_metric_that_an_autoscaler_asks_for_is_one_that_a_rule_makes(prod, rules):
    asked = {
        metric["pods"]["metric"]["name"]
        for scaler in prod.of("HorizontalPodAutoscaler").values()
        for metric in scaler["spec"]["metrics"]
        if metric["type"] == "Pods"
    }

    assert asked == {named(rule) for rule in rules}


def test_every_rule_is_made_of_a_metric_that_our_processes_tell(rules):
    told = set(re.findall(r"^\| `(\w+)`", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE))

    assert {metric_of(rule).removesuffix("_bucket") for rule in rules} <= told


def test_the_services_scale_by_how_long_calls_wait_and_the_edge_by_how_late_it_comes(prod):
    wanted = {"edge": "kirana_edge_loop_lag_seconds"}
    for name in PROCESSES:
        custom, resource = prod.one("HorizontalPodAutoscaler", name)["spec"]["metrics"]
        assert custom["pods"]["metric"]["name"] == wanted.get(name, "kirana_rpc_queue_seconds_p95")
        assert resource["resource"]["name"] == "cpu"
        (container,) = prod.pod(name)["containers"]
        assert "cpu" in container["resources"]["requests"]  # shares of it are what is counted


def test_prometheus_takes_a_pod_s_name_and_namespace_along(prod):
    """The adapter knows a pod by these labels, which a PodMonitor adds; a port of that name must be there."""
    monitor = prod.one("PodMonitor", "kirana")["spec"]
    (wanted,) = monitor["selector"]["matchExpressions"]

    for name in PROCESSES:
        (container,) = prod.pod(name)["containers"]
        labels = prod.one("Deployment", name)["spec"]["template"]["metadata"]["labels"]
        assert labels[wanted["key"]] in wanted["values"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert str(ports[monitor["podMetricsEndpoints"][0]["port"]]) == prod.environment(name)["KIRANA_METRICS_PORT"]


def test_the_rules_give_what_a_pod_s_calls_waited_and_nothing_else_than_a_number(rules, tmp_path):
    """Asked of Prometheus itself: a busy pod, one without calls, and a pod of another namespace."""
    queue, lag = rules
    busy = 'namespace="kirana",pod="catalog-busy",service="catalog",method="get_product"'
    idle = busy.replace("busy", "idle")
    series = [
        (f'kirana_rpc_queue_seconds_bucket{{{busy},le="0.1"}}', "0+50x20"),
        (f'kirana_rpc_queue_seconds_bucket{{{busy},le="0.5"}}', "0+100x20"),
        (f'kirana_rpc_queue_seconds_bucket{{{busy},le="+Inf"}}', "0+100x20"),
        (f'kirana_rpc_queue_seconds_bucket{{{idle},le="0.1"}}', "7+0x20"),
        (f'kirana_rpc_queue_seconds_bucket{{{idle},le="+Inf"}}', "7+0x20"),
        ('kirana_rpc_queue_seconds_bucket{namespace="x",pod="catalog-busy",le="+Inf"}', "0+9x20"),
        ('kirana_edge_loop_lag_seconds{namespace="kirana",pod="edge-1",worker="0"}', "0 0.01 0.2 0.01x20"),
        ('kirana_edge_loop_lag_seconds{namespace="kirana",pod="edge-1",worker="1"}', "0.03x20"),
    ]
    tests = {
        "evaluation_interval": "15s",
        "tests": [
            {
                "interval": "15s",
                "input_series": [{"series": name, "values": values} for name, values in series],
                "promql_expr_test": [
                    {
                        "expr": f"round({query_of(queue, 'catalog-busy|catalog-idle')}, 0.001)",
                        "eval_time": "4m",
                        "exp_samples": [
                            {"labels": '{pod="catalog-busy"}', "value": 0.46},
                            {"labels": '{pod="catalog-idle"}', "value": 0},
                        ],
                    },
                    {
                        "expr": query_of(lag, "edge-1"),
                        "eval_time": "1m",
                        "exp_samples": [{"labels": '{pod="edge-1"}', "value": 0.2}],
                    },
                ],
            }
        ],
    }
    path = tmp_path / "tests.yaml"
    path.write_text(yaml.safe_dump(tests))

    done = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_postgresql_has_room_for_as_many_services_as_there_may_be(prod):
    most = int(prod.one("Cluster", "postgres")["spec"]["postgresql"]["parameters"]["max_connections"])
    wanted = sum(
        (prod.one("HorizontalPodAutoscaler", name)["spec"]["maxReplicas"] + 1)  # one more while versions change
        * (int(prod.environment(name).get("KIRANA_DATABASE_POOL", CONNECTIONS)) + SPARE_CONNECTIONS)
        for name in PROCESSES
        if "KIRANA_DATABASE_URL_FILE" in prod.environment(name)
    )

    assert wanted > 300
    assert wanted + KEPT_FREE <= most


def test_all_instances_of_cart_are_where_their_journal_is(prod):
    """SQLite's readers and writers share memory: two nodes would each have their own truth."""
    spec = prod.pod("cart")
    claim = prod.one("PersistentVolumeClaim", "cart-journal")["spec"]
    (together,) = spec["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]

    assert together["topologyKey"] == "kubernetes.io/hostname"
    assert together["labelSelector"] == prod.one("Deployment", "cart")["spec"]["selector"]
    assert claim["accessModes"] == ["ReadWriteOnce"]
    (container,) = spec["containers"]
    mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert prod.environment("cart")["KIRANA_CART_JOURNAL"].startswith(mounted["journal"])
