"""The broker's own plugin tells what our rules ask of it, as the configuration asks for it."""

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.builders.prometheus import CONFIGURATION
from tests.builders.promql import ROOT, everything_asked
from tests.builders.rabbitmq import VIRTUAL_HOST, Rabbit
from tests.builders.servers import free_port
from tests.builders.waiting import eventually

PLUGINS = (ROOT / "docker" / "rabbitmq" / "enabled_plugins").read_text()
JOBS = {each["job_name"]: each for each in yaml.safe_load(CONFIGURATION.read_text())["scrape_configs"]}


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
        answer = httpx.get(
            f"http://127.0.0.1:{self.metrics_port}{job.get('metrics_path', '/metrics')}",
            params=job.get("params"),
            timeout=20,
        )
        assert answer.status_code == httpx.codes.OK, answer.text
        return [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]


@pytest.fixture(scope="module")
def rabbit():
    with WatchedRabbit() as server, server.connect() as connection, connection.channel() as channel:
        channel.queue_declare("rpc-watched", durable=True, auto_delete=False)
        yield server


def test_a_real_broker_tells_everything_that_we_ask_of_it(rabbit):
    asked = {name for _, name in everything_asked() if name.startswith("rabbitmq_")}

    def missing():
        told = {sample.name for job in ("rabbitmq", "rabbitmq-queues") for sample in rabbit.tells(JOBS[job])}
        return asked - told

    assert asked
    eventually(lambda: not missing(), within=60, what=f"all of {missing()}", despite=(httpx.TransportError,))


def test_queues_are_told_one_by_one_and_only_those_of_the_shop(rabbit):
    def queues():
        return {
            (sample.labels["vhost"], sample.labels["queue"])
            for sample in rabbit.tells(JOBS["rabbitmq-queues"])
            if sample.name == "rabbitmq_detailed_queue_consumers"
        }

    eventually(
        lambda: queues() == {(VIRTUAL_HOST, "rpc-watched")},
        within=60,
        what="the queue",
        despite=(httpx.TransportError,),
    )
