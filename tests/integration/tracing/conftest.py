"""An edge and three services that tell a collector what they do, on servers of their own."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import httpx
import psycopg2
import pytest

from shared.persistence.migrations import migrate
from tests.builders.collector import Collector
from tests.builders.rabbitmq import Rabbit
from tests.builders.redis import Redis
from tests.builders.servers import free_port
from tests.builders.waiting import eventually
from tests.builders.whole_lines import whole_lines
from tests.contract.caller import Caller

WITH_DATABASE = ("catalog", "order")
SERVICES = (*WITH_DATABASE, "cart")
ENDING_SECONDS = 30
SPANS_SECONDS = 60


class Shop:
    """``client`` speaks with the edge, ``collector`` has what was told, ``lines`` are what the processes logged."""

    def __init__(self, home, rabbit, client, collector):
        self.client, self.collector = client, collector
        self._home, self._rabbit = home, rabbit
        self.product_id = 0

    def call(self, key, *, headers=None, **arguments):
        """One call by hand, as a stock client sends it, under these headers."""
        with closing(self._rabbit.connect()) as connection:
            caller = Caller(connection)
            return caller.call(key, headers=headers, **arguments)

    def is_listening(self, service):
        with closing(self._rabbit.connect()) as connection:
            return Caller(connection).consumers(f"rpc-{service}")

    def is_open(self):
        """Whether the edge knows of the services: its breakers may have seen that they were not there."""
        asked = {"product_id": self.product_id, "quantity": 1}
        return self.client.post("/api/cart/items", json=asked).status_code == 200

    def lines(self, trace_id, **fields):
        """The log lines of a trace with these values."""
        found = [json.loads(line) for line in whole_lines(self._home) if trace_id.encode() in line]
        return [line for line in found if fields.items() <= flat(line).items()]

    def spans(self, trace_id, *wanted):
        """The trace's spans, once all these are among them; each is ``(service, kind, start of the name)``."""

        def all_there():
            spans = self.collector.of_trace(trace_id)
            return spans if all(found(spans, *each) for each in wanted) else None

        return eventually(all_there, within=SPANS_SECONDS, what=self.collector)


def found(spans, service, kind, name):
    """Those of a trace that are of this service and kind, and whose name begins so."""
    return [span for span in spans if (span.service, span.kind) == (service, kind) and span.name.startswith(name)]


def flat(line):
    """The fields of a line by dotted names."""
    fields = {}
    for name, value in line.items():
        fields |= {f"{name}.{key}": each for key, each in value.items()} if isinstance(value, dict) else {name: value}
    return fields


@pytest.fixture(scope="package")
def shop(postgres, tmp_path_factory):
    home = tmp_path_factory.mktemp("traced")
    with ExitStack() as stack:
        broker = stack.enter_context(ThreadPoolExecutor(1)).submit(lambda: stack.enter_context(Rabbit()))
        databases = {service: a_database(postgres, service) for service in WITH_DATABASE}
        redis, collector = stack.enter_context(Redis()), stack.enter_context(Collector())
        rabbit = broker.result()
        port = free_port()
        common = {
            "PYTHONSAFEPATH": "1",
            "KIRANA_AMQP_URL": rabbit.url,
            "KIRANA_LOG_SPOOL": str(home),
            "KIRANA_OTLP_ENDPOINT": collector.url,
            "KIRANA_OTLP_HEADERS": "x-key=a%20secret",
            "KIRANA_REDIS_CARTS": redis.url,
            "KIRANA_CART_JOURNAL": str(home / "journal.sqlite"),
            "KIRANA_PAYMENTS": "test",
            "KIRANA_REDIS_EDGE": redis.url,
            "KIRANA_CURSOR_SECRET": "of no worth: 0123456789",
            "KIRANA_EDGE_PORT": str(port),
            "KIRANA_TRUSTED_PROXIES": "127.0.0.1/32",
        }
        for service in (*SERVICES, "edge"):
            own = {"KIRANA_DATABASE_URL": databases.get(service, ""), "KIRANA_INSTANCE": f"{service}-1"}
            stack.enter_context(Running(home, service, common | own))
        client = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30))
        shop = Shop(home, rabbit, client, collector)
        shop.product_id = a_product(databases["catalog"])
        for service in SERVICES:
            eventually(lambda service=service: shop.is_listening(service), despite=rabbit.not_yet, within=60)
        eventually(shop.is_open, despite=(httpx.HTTPError,), within=60, what="the edge")
        yield shop


def a_database(postgres, service):
    url = postgres.create(f"traced_{service}")
    migrate(f"rpc_services.{service}", url)
    return url


class Running:
    """A process of ours; at the end it is asked to leave and must."""

    def __init__(self, home, service, settings):
        self._command = ["edge"] if service == "edge" else ["rpc_services", service]
        self._log = home / f"{service}.log"
        self._environment = os.environ | settings

    def __enter__(self):
        with self._log.open("ab") as log:
            command = [sys.executable, "-W", "ignore", "-m", *self._command]
            self.process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)
        return self

    def __exit__(self, *_fault):
        self.process.terminate()
        try:
            self.process.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def a_product(url):
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO categories (name) VALUES ('Tea') RETURNING id")
        category = cursor.fetchone()[0]
        cursor.execute(
            "INSERT INTO products (sku, name, description, price_minor, currency, image, category_id, created_at, "
            "updated_at) VALUES ('tea-1', 'Assam', '', 499, 'EUR', '', %s, now(), now()) RETURNING id",
            (category,),
        )
        product_id = cursor.fetchone()[0]
        cursor.execute("INSERT INTO stock (product_id, on_hand) VALUES (%s, 1000)", (product_id,))
    return product_id
