"""Prometheus, its exporters, Alertmanager and Grafana find each other, and nobody else finds them."""

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from kirana.container_secrets import contents
from kirana.stack.passwords import NAMES

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
PROMETHEUS = yaml.safe_load((ROOT / "docker" / "prometheus" / "prometheus.yml").read_text())
SOURCES = yaml.safe_load((ROOT / "docker/grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
OURS = {"edge", "edge-green", "identity", "catalog", "cart", "order", "notification", "shipper"}


def asked():
    """The hosts that Prometheus asks or tells, each of which must be a container beside it."""
    for job in PROMETHEUS["scrape_configs"]:
        for found in job.get("dns_sd_configs", ()):
            yield from found["names"]
        for found in job.get("static_configs", ()):
            for target in found["targets"]:
                yield urlsplit(target if "//" in target else f"//{target}").hostname
        yield from (
            rule["replacement"].partition(":")[0]
            for rule in job.get("relabel_configs", ())
            if rule["target_label"] == "__address__"
        )
    for manager in PROMETHEUS["alerting"]["alertmanagers"]:
        yield manager["static_configs"][0]["targets"][0].partition(":")[0]


def share_a_network(one, other):
    return bool(set(COMPOSE[one]["networks"]) & set(COMPOSE[other]["networks"]))


def test_prometheus_asks_every_process_of_ours():
    (job,) = (each for each in PROMETHEUS["scrape_configs"] if "dns_sd_configs" in each)
    found = job["dns_sd_configs"][0]

    assert set(found["names"]) == OURS
    assert COMPOSE["edge"]["environment"]["KIRANA_METRICS_PORT"] == str(found["port"])


@pytest.mark.parametrize("host", sorted(set(asked()) - {"localhost"}))
def test_whom_prometheus_asks_is_a_container(host):
    assert host in COMPOSE


def test_prometheus_reaches_what_it_asks_itself_and_the_exporters_reach_the_stores():
    stores = {"redis-carts", "redis-edge"}  # asked through their exporter
    for host in set(asked()) - {"localhost"} - stores:
        assert share_a_network("prometheus", host), host
    assert share_a_network("postgres-exporter", "postgres")
    assert all(share_a_network("redis-exporter", each) for each in stores)


def test_prometheus_and_grafana_reach_no_store_themselves():
    assert not any(share_a_network(watcher, "postgres") for watcher in ("prometheus", "grafana", "alertmanager"))
    assert not any(share_a_network(watcher, "redis-carts") for watcher in ("prometheus", "grafana", "alertmanager"))


def test_grafana_asks_containers_that_it_reaches():
    for source in SOURCES:
        assert share_a_network("grafana", urlsplit(source["url"]).hostname)


def test_the_broker_has_the_plugin_that_tells():
    assert "rabbitmq_prometheus" in (ROOT / "docker" / "rabbitmq" / "enabled_plugins").read_text()
    assert any("enabled_plugins" in volume for volume in COMPOSE["rabbitmq"]["volumes"])


def test_the_exporter_of_redis_has_the_password_of_each_that_it_is_asked_about():
    drawn = contents({name: f"drawn-{name}" for name in NAMES})
    (job,) = (each for each in PROMETHEUS["scrape_configs"] if each["job_name"] == "redis")

    assert json.loads(drawn["redis_passwords.json"]).keys() == set(job["static_configs"][0]["targets"])


def test_the_exporter_of_postgresql_sees_statistics_and_no_rows():
    script = (ROOT / "docker" / "postgres" / "10-databases.sh").read_text()
    user = COMPOSE["postgres-exporter"]["environment"]["DATA_SOURCE_USER"]

    assert re.findall(rf"GRANT (\w+) TO {user}\b", script) == ["pg_monitor"]


@pytest.mark.parametrize("name", ["prometheus", "alertmanager", "grafana", "postgres-exporter", "redis-exporter"])
def test_whoever_watches_is_unprivileged_and_says_whether_it_is_well(name):
    service = COMPOSE[name]

    assert service["profiles"] == ["metrics"]
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
    assert service["healthcheck"]["test"]
