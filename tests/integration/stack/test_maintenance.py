"""An instance that is taken out takes nothing more, finishes, lives on and comes back, and nobody is refused by it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace
from urllib.parse import urlsplit

import httpx
import pytest
from kombu import Connection

from kirana.stack.home import Home
from kirana.stack.passwords import passwords
from kirana.stack.programs import edge_environment, service_environment
from shared.contracts.exchanges import calls_queue
from tests.builders.servers import free_port
from tests.builders.waiting import eventually, eventually_async
from tests.builders.whole_lines import whole_lines
from tests.integration.front.nginx import Callers, Nginx
from tests.stack_fixture import kirana

pytestmark = pytest.mark.takes(60)

PATIENCE = 60


@pytest.fixture(scope="module")
def another_catalog(stack, tmp_path_factory):
    """A second catalog beside the supervised one."""
    environment = service_environment("catalog", stack, passwords(stack.home)) | {"KIRANA_INSTANCE": "catalog-8"}
    process = started(stack, tmp_path_factory.mktemp("catalog"), ["rpc_services", "catalog"], environment)
    try:
        eventually(lambda: status(stack, "catalog-catalog-8") == "passing", within=PATIENCE, what="another catalog")
        yield process
    finally:
        ended(stack, process, "catalog-8")


@pytest.fixture
def another_edge(stack, tmp_path):
    """A second edge of two workers; its address."""
    port = free_port()
    environment = edge_environment(stack, passwords(stack.home), port=port, workers=2) | {
        "KIRANA_INSTANCE": "edge-8",
        "KIRANA_ROUTES_KEPT": str(tmp_path / "kept"),
    }
    process = started(stack, tmp_path, ["edge"], environment)
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: is_ready(url), within=PATIENCE, despite=(httpx.TransportError,), what="another edge")
        eventually(lambda: workers(stack) == ["passing", "passing"], within=PATIENCE, what="both its workers")
        yield url
    finally:
        ended(stack, process, "edge-8")


def started(stack, folder, command, environment):
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        env=Home(stack.home).environment() | environment | {"KIRANA_LOG_SPOOL": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def ended(stack, process, instance):
    process.send_signal(signal.SIGCONT)
    process.terminate()
    process.wait(PATIENCE)
    httpx.delete(f"{stack.consul}/v1/kv/kirana/maintenance/{instance}").raise_for_status()


def checks(stack, service):
    found = httpx.get(f"{stack.consul}/v1/health/checks/{service}", timeout=PATIENCE).json()
    return {one["ServiceID"]: one for one in found}


def status(stack, name):
    return checks(stack, name.partition("-")[0]).get(name, {}).get("Status")


def workers(stack):
    return [one["Status"] for name, one in checks(stack, "edge").items() if name.startswith("edge-8-")]


def told(url):
    """What the edge tells those who ask whether it takes requests, and whether the shop can be served through it."""
    return {httpx.get(f"{url}/health/{what}", timeout=10).status_code for what in ("serving", "ready")}


def is_ready(url):
    return told(url) == {200}


def listening(stack):
    with Connection(stack.amqp) as connection:
        return connection.channel().queue_declare(calls_queue("catalog"), passive=True).consumer_count


class Load:
    """Clients that ask without pause until the end, and every answer that was none."""

    def __init__(self, url, clients=3):
        self._url, self._stop = url, threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]
        self.answered, self.failed = 0, []

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _ask(self):
        with httpx.Client(base_url=self._url, timeout=PATIENCE) as client:
            while not self._stop.is_set():
                try:
                    # Each has its own words to search for, so that no cache answers for the service.
                    answer = client.get("/api/products", params={"limit": 1, "q": os.urandom(4).hex()})
                except httpx.HTTPError as fault:
                    self.failed.append(repr(fault))
                    continue
                self.answered += 1
                if answer.status_code != 200:
                    self.failed.append(answer.text)

    def goes_on(self):
        before = self.answered
        eventually(lambda: self.answered > before + 10, within=PATIENCE, what="more answers")


def test_a_service_in_maintenance_takes_nothing_finishes_lives_on_and_comes_back_without_an_error(
    stack, another_catalog
):
    eventually(lambda: listening(stack) == 2, within=PATIENCE, what="both")
    with Load(stack.edge_url) as load:
        load.goes_on()
        out = kirana(stack.home, "maintenance", "on", "catalog-8", "--reason", "new disk", "--wait", "60")
        assert out.returncode == 0, out.stderr
        eventually(lambda: listening(stack) == 1, within=PATIENCE, what="one of them")
        load.goes_on()
        told = checks(stack, "catalog")["catalog-catalog-8"]
        listed = json.loads(kirana(stack.home, "maintenance", "list", "--json").stdout)
        back = kirana(stack.home, "maintenance", "off", "catalog-8", "--wait", "60")
        assert back.returncode == 0, back.stderr
        eventually(lambda: listening(stack) == 2, within=PATIENCE, what="both again")
        load.goes_on()

    assert load.failed == []
    assert told["Status"] == "critical"
    assert told["Output"] == "maintenance: new disk; 0 under way"
    assert listed["catalog-8"]["reason"] == "new disk"
    assert another_catalog.poll() is None


def test_an_edge_in_maintenance_is_not_ready_but_answers_whoever_comes(stack, another_edge):
    with Load(another_edge) as load:
        load.goes_on()
        out = kirana(stack.home, "maintenance", "on", "edge-8", "--reason", "new kernel", "--wait", "60")
        assert out.returncode == 0, out.stderr
        load.goes_on()
        last = httpx.get(f"{another_edge}/api/products?limit=1", timeout=10)
        assert told(another_edge) == {503}
        assert workers(stack) == ["critical", "critical"]
        back = kirana(stack.home, "maintenance", "off", "edge-8", "--wait", "60")
        assert back.returncode == 0, back.stderr
        load.goes_on()

    assert load.failed == []
    assert last.headers["connection"] == "close"
    assert eventually(lambda: is_ready(another_edge), within=PATIENCE, what="the edge's readiness")
    assert httpx.get(f"{another_edge}/api/products?limit=1", timeout=10).headers.get("connection") != "close"


def test_nginx_sends_nothing_to_an_edge_in_maintenance_and_no_request_fails(stack, another_edge, tmp_path):
    edges = [SimpleNamespace(port=urlsplit(url).port) for url in (stack.edge_url, another_edge)]
    ours = f"127.0.0.1:{edges[1].port}"

    def served():
        """How many requests the other edge has answered."""
        lines = whole_lines(tmp_path, "edge-8*.jsonl")
        return sum(b'"http.request"' in line and b"/api/products" in line for line in lines)

    async def more(callers):
        """Whether it has answered any of the next hundred."""
        before, asked = served(), callers.answered.total()
        await eventually_async(lambda: callers.answered.total() > asked + 100 or callers.failures, within=PATIENCE)
        return served() > before

    async def turned(word, callers, *, is_named):
        done = await asyncio.to_thread(kirana, stack.home, "maintenance", word, "edge-8", "--wait", "60")
        assert done.returncode == 0, done.stderr
        await eventually_async(lambda: (ours in named()) is is_named, within=PATIENCE, what="another choice of nginx")
        while await more(callers) is not is_named:  # an nginx of before finishes what it has begun
            assert not callers.failures

    async def scenario(nginx):
        async with Callers(nginx, path="/api/products?limit=1") as callers:
            while not await more(callers):
                assert not callers.failures
            await turned("on", callers, is_named=False)
            await turned("off", callers, is_named=True)
        return callers

    with Nginx(edges) as nginx:
        named = (nginx.home / "traffic" / "traffic.conf").read_text
        callers = asyncio.run(scenario(nginx))

    assert callers.failures == []


def test_the_last_instance_is_not_taken_out_unless_one_insists(stack):
    done = kirana(stack.home, "maintenance", "on", "order-1")

    assert done.returncode == 11
    assert "the last of order" in done.stderr
    assert status(stack, "order-order-1") == "passing"


def test_a_process_that_hangs_is_critical_until_it_goes_on(stack, another_catalog):
    another_catalog.send_signal(signal.SIGSTOP)

    eventually(lambda: status(stack, "catalog-catalog-8") == "critical", within=PATIENCE, what="its check")
    another_catalog.send_signal(signal.SIGCONT)
    eventually(lambda: status(stack, "catalog-catalog-8") == "passing", within=PATIENCE, what="its recovery")


def started_without(stack, instance):
    """What a start says while the only instance of a service is out."""
    try:
        out = kirana(stack.home, "maintenance", "on", instance, "--force", "--wait", "60")
        assert out.returncode == 0, out.stderr
        return kirana(stack.home, "up")
    finally:
        back = kirana(stack.home, "maintenance", "off", instance, "--wait", "60")
        assert back.returncode == 0, back.stderr


def test_a_start_does_not_wait_for_who_is_out(stack):
    started = started_without(stack, "notification-1")

    assert started.returncode == 0, started.stderr
    assert "notification-1 is out" in started.stdout + started.stderr


def test_a_start_says_that_a_shop_without_one_of_its_services_is_not_open(stack):
    started = started_without(stack, "catalog-1")

    assert started.returncode != 0
    assert "all of catalog is out" in started.stderr
    assert "The shop is open" not in started.stdout
