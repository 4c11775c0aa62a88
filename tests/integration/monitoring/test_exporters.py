"""The broker's own plugin, and the exporters of PostgreSQL and Redis, tell what our rules ask of them."""

import re
from contextlib import closing
from urllib.parse import urlsplit

import httpx
import psycopg2
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.builders.postgres import Postgres
from tests.builders.prometheus import CONFIGURATION
from tests.builders.promql import ROOT, everything_asked, everything_matched
from tests.builders.rabbitmq import VIRTUAL_HOST, Rabbit
from tests.builders.redis import Redis
from tests.builders.servers import Server, free_port
from tests.builders.waiting import eventually

LISTED = yaml.safe_load((ROOT / "tests" / "integration" / "monitoring" / "exporters.yml").read_text())
PLUGINS = (ROOT / "docker" / "rabbitmq" / "enabled_plugins").read_text()
JOBS = {each["job_name"]: each for each in yaml.safe_load(CONFIGURATION.read_text())["scrape_configs"]}


def samples_at(address, **parameters):
    answer = httpx.get(address, params=parameters, timeout=20)
    assert answer.status_code == httpx.codes.OK, answer.text
    written = set(re.findall(r"^([\w:]+)[{ ]", answer.text, re.MULTILINE))
    return [
        sample if sample.name in written else sample._replace(name=sample.name.removesuffix("_total"))
        for family in text_string_to_metric_families(answer.text)  # which thinks that every counter is called so
        for sample in family.samples
    ]


def lacking(whose, samples):
    """Of what rules and dashboards ask of that exporter: names that it does not tell, labels and values likewise."""
    asked = {name for _, name in everything_asked() if name in LISTED[whose]}
    told = {}
    for sample in samples:
        told.setdefault(sample.name, []).append(sample.labels)
    assert asked
    return {name for name in asked if name not in told} | {
        (matcher.metric, matcher.label, pattern)
        for _, matcher in everything_matched()
        if matcher.metric in asked
        for pattern in matcher.alternatives
        if not any(re.fullmatch(pattern, labels.get(matcher.label, "")) for labels in told.get(matcher.metric, ()))
    }


QUEUES = {"rpc-watched", "parking.watched"}


class WatchedRabbit(Rabbit):
    """With the plugins that the containers' broker has."""

    def __init__(self):
        super().__init__()
        self.metrics_port, self.management_port = free_port(), free_port()

    def prepare(self):
        super().prepare()
        (self.home / "enabled_plugins").write_text(PLUGINS)
        with (self.home / "rabbitmq.conf").open("a") as configuration:
            configuration.write(f"prometheus.tcp.port = {self.metrics_port}\nprometheus.tcp.ip = 127.0.0.1\n")
            configuration.write(f"management.tcp.port = {self.management_port}\nmanagement.tcp.ip = 127.0.0.1\n")

    def tells(self, job):
        """The samples that Prometheus gets when it asks as ``job`` does."""
        return samples_at(
            f"http://127.0.0.1:{self.metrics_port}{job.get('metrics_path', '/metrics')}", **job.get("params", {})
        )


class Exporter(Server):
    """Debian's, which is older than the containers': what both tell is what we may ask for."""

    def __init__(self, kind, **environment):
        super().__init__()
        self.name = f"prometheus-{kind}-exporter"
        self.environment = environment
        self.not_yet = (httpx.TransportError,)

    @property
    def command(self):
        return [self.name, f"--web.listen-address=127.0.0.1:{self.port}"]

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def answers(self):
        return httpx.get(self.url).status_code == httpx.codes.OK


@pytest.fixture(scope="module")
def rabbit():
    with WatchedRabbit() as server, server.connect() as connection, connection.channel() as channel:
        for name in QUEUES:
            channel.queue_declare(name, durable=True, auto_delete=False)
        yield server


def test_a_real_broker_tells_everything_that_we_ask_of_it(rabbit):
    def missing():
        return lacking(
            "rabbitmq", [sample for job in ("rabbitmq", "rabbitmq-queues") for sample in rabbit.tells(JOBS[job])]
        )

    eventually(lambda: not missing(), within=60, what=f"all of {missing()}", despite=(httpx.TransportError,))


def test_the_exporter_of_postgresql_tells_everything_that_we_ask_of_it_as_who_sees_statistics_alone():
    with Postgres() as postgres:
        postgres.create("kirana_watched")
        with closing(psycopg2.connect(postgres.url("postgres"))) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE ROLE metrics LOGIN; GRANT pg_monitor TO metrics")  # as 10-databases.sh does
            connection.commit()
        address = urlsplit(postgres.url("postgres"))
        source = {
            "DATA_SOURCE_URI": f"127.0.0.1:{address.port}/postgres?sslmode=disable",
            "DATA_SOURCE_USER": "metrics",
        }
        with Exporter("postgres", **source, DATA_SOURCE_PASS="") as exporter:
            eventually(
                lambda: not lacking("postgres", samples_at(f"{exporter.url}/metrics")),
                what=lambda: f"all of {lacking('postgres', samples_at(f'{exporter.url}/metrics'))}",
            )


def test_the_exporter_of_redis_tells_everything_that_we_ask_of_it_when_it_is_asked_as_prometheus_asks():
    with Redis() as redis, Exporter("redis", REDIS_ADDR="") as exporter:
        told = samples_at(f"{exporter.url}{JOBS['redis']['metrics_path']}", target=f"redis://127.0.0.1:{redis.port}")

        assert not lacking("redis", told)


def test_queues_are_told_one_by_one_and_only_those_of_the_shop(rabbit):
    def queues():
        return {
            (sample.labels["vhost"], sample.labels["queue"])
            for sample in rabbit.tells(JOBS["rabbitmq-queues"])
            if sample.name == "rabbitmq_detailed_queue_consumers"
        }

    eventually(
        lambda: queues() == {(VIRTUAL_HOST, name) for name in QUEUES},
        within=60,
        what="the queues",
        despite=(httpx.TransportError,),
    )
