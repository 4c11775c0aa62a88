"""What watches the shop from outside, and what sends alarms, tell what our rules ask of them."""

import json
import subprocess
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import yaml

from tests.builders.prometheus import CONFIGURATION
from tests.builders.promql import ROOT
from tests.builders.servers import Server, free_port
from tests.builders.waiting import eventually
from tests.integration.edge.life.running import AnEdge
from tests.integration.front.nginx import Nginx
from tests.integration.monitoring.test_exporters import lacking, samples_at

JSON = {"Content-Type": "application/json"}
PROBES = ROOT / "docker" / "blackbox" / "blackbox.yml"
ALERTMANAGER = ROOT / "docker" / "alertmanager" / "alertmanager.yml"
(FRONT,) = (each for each in yaml.safe_load(CONFIGURATION.read_text())["scrape_configs"] if each["job_name"] == "front")


class Blackbox(Server):
    """Debian's, which is older than the container, with the container's file."""

    name = "prometheus-blackbox-exporter"
    not_yet = (httpx.TransportError,)

    @property
    def command(self):
        return [self.name, f"--config.file={PROBES}", f"--web.listen-address=127.0.0.1:{self.port}"]

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def answers(self):
        return httpx.get(f"{self.url}/-/healthy").status_code == httpx.codes.OK

    def finds(self, address):
        """The samples that Prometheus gets when it asks about that address as it asks about the front."""
        found = samples_at(f"{self.url}{FRONT['metrics_path']}", target=address, module=FRONT["params"]["module"][0])
        return [sample._replace(labels={**sample.labels, "job": FRONT["job_name"]}) for sample in found]


class Alertmanager(Server):
    """With the containers' file, but that its mailbox is nowhere and that it gives up soon."""

    name = "prometheus-alertmanager"
    not_yet = (httpx.TransportError,)

    def prepare(self):
        text = ALERTMANAGER.read_text().replace("group_wait: 10s", "group_wait: 1s")
        text = text.replace("group_interval: 5m", "group_interval: 10s")
        (self.home / "alertmanager.yml").write_text(text.replace("mail:1025", f"127.0.0.1:{free_port()}"))

    @property
    def command(self):
        return [
            self.name,
            f"--config.file={self.home / 'alertmanager.yml'}",
            f"--storage.path={self.home / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
        ]

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def answers(self):
        return httpx.get(f"{self.url}/-/ready").status_code == httpx.codes.OK

    def failed_mails(self):
        return sum(
            sample.value
            for sample in samples_at(f"{self.url}/metrics")
            if sample.name == "alertmanager_notifications_failed_total" and sample.labels["integration"] == "email"
        )


@pytest.fixture(scope="module")
def blackbox():
    with Blackbox() as server:
        yield server


def value(samples, name):
    (sample,) = (each for each in samples if each.name == name)
    return sample.value


def test_the_exporter_reads_its_file():
    command = [Blackbox.name, f"--config.file={PROBES}", "--config.check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 0, done.stderr


def test_the_front_is_found_well_with_its_certificates_last_day_and_an_edge_that_is_gone_is_noticed(blackbox):
    path = FRONT["static_configs"][0]["targets"][0].partition(":8443")[2]
    with AnEdge() as edge, Nginx([edge]) as nginx:
        address = f"https://127.0.0.1:{nginx.port}{path}"
        well = blackbox.finds(address)
        edge.process.kill()
        edge.process.wait()
        eventually(lambda: value(blackbox.finds(address), "probe_success") == 0, what="the look that fails")

    assert not lacking("front", well)
    assert value(well, "probe_success") == 1
    expires = datetime.fromtimestamp(value(well, "probe_ssl_earliest_cert_expiry"), UTC)
    assert expires > datetime.now(UTC) + timedelta(days=14)


def test_a_front_that_is_gone_is_noticed(blackbox):
    assert value(blackbox.finds(f"https://127.0.0.1:{free_port()}/health/serving"), "probe_success") == 0


def test_a_mail_that_cannot_be_sent_is_counted_by_the_name_that_the_alarm_asks_for():
    with Alertmanager() as alertmanager:
        told = samples_at(f"{alertmanager.url}/metrics")
        before = alertmanager.failed_mails()
        begun = datetime.fromtimestamp(time.time(), UTC).isoformat()
        alarm = [{"labels": {"alertname": "Any", "severity": "page"}, "startsAt": begun}]
        answer = httpx.post(f"{alertmanager.url}/api/v2/alerts", content=json.dumps(alarm), headers=JSON, timeout=20)
        assert answer.status_code == httpx.codes.OK, answer.text

        eventually(lambda: alertmanager.failed_mails() > before, within=90, what="the mail that was given up")

    assert not lacking("alertmanager", told)
    assert before == 0
