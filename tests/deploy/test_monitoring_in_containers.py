"""Prometheus, its exporters, Alertmanager and Grafana find each other, and nobody else finds them."""

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from kirana.container_secrets import contents
from kirana.stack.passwords import draw
from tests.builders.operators import OPEN_AT_NGINX

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
PROMETHEUS = yaml.safe_load((ROOT / "docker" / "prometheus" / "prometheus.yml").read_text())
ALERTMANAGER = yaml.safe_load((ROOT / "docker" / "alertmanager" / "alertmanager.yml").read_text())
BLACKBOX = yaml.safe_load((ROOT / "docker" / "blackbox" / "blackbox.yml").read_text())
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
    drawn = contents(draw())
    (job,) = (each for each in PROMETHEUS["scrape_configs"] if each["job_name"] == "redis")

    assert json.loads(drawn["redis_passwords.json"]).keys() == set(job["static_configs"][0]["targets"])


def test_the_exporter_of_postgresql_sees_statistics_and_no_rows():
    script = (ROOT / "docker" / "postgres" / "10-databases.sh").read_text()
    user = COMPOSE["postgres-exporter"]["environment"]["DATA_SOURCE_USER"]

    assert re.findall(rf"GRANT (\w+) TO {user}\b", script) == ["pg_monitor"]


@pytest.mark.parametrize(
    "name",
    [
        "prometheus",
        "alertmanager",
        "grafana",
        "postgres-exporter",
        "redis-exporter",
        "blackbox-exporter",
    ],
)
def test_whoever_watches_is_unprivileged_and_says_whether_it_is_well(name):
    service = COMPOSE[name]

    assert service["profiles"] == ["metrics"]
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
    assert service["healthcheck"]["test"]


def test_the_mailbox_that_alarms_are_sent_to_runs_wherever_alertmanager_does_and_is_reached():
    host = ALERTMANAGER["global"]["smtp_smarthost"].partition(":")[0]

    assert set(COMPOSE["alertmanager"]["profiles"]) <= set(COMPOSE[host]["profiles"])
    assert share_a_network("alertmanager", host)


def test_the_front_is_asked_for_what_it_lets_through_by_who_reaches_it():
    (job,) = (each for each in PROMETHEUS["scrape_configs"] if each["job_name"] == "front")
    (target,) = (urlsplit(each) for each in job["static_configs"][0]["targets"])

    assert (target.scheme, target.port, target.path) == ("https", 8443, "/health/serving")
    assert target.path in OPEN_AT_NGINX
    assert COMPOSE[target.hostname]["ports"][0].endswith(f":{target.port}")
    assert share_a_network("blackbox-exporter", target.hostname)
    assert not share_a_network("blackbox-exporter", "edge")
    assert job["params"]["module"] == [*BLACKBOX["modules"]]


def test_a_container_says_by_its_images_tag_which_release_it_runs():
    for name, service in COMPOSE.items():
        environment = service.get("environment", {})
        if "KIRANA_LOG_LEVEL" in environment:
            tag = re.search(r":\$\{(\w+):-dev\}$", service["image"])[1]
            assert environment["KIRANA_BUILD"] == f"${{{tag}:-dev}}", name
