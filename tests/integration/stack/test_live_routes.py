"""A table put into Consul reaches every worker within moments, whole or not at all, while requests go on."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from contextlib import asynccontextmanager
from typing import NamedTuple

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from edge.discovery.agent import ConsulAgent
from edge.live.shared import KEY, SharedTable
from edge.settings import PACKAGED_ROUTES
from edge.snapshot import hash_of
from kirana.stack.home import Home
from kirana.stack.overview import seen_processes
from kirana.stack.passwords import passwords
from kirana.stack.programs import edge_environment
from tests.builders.servers import free_port
from tests.builders.shop import an_admin, assert_problem
from tests.builders.tables import a_page, table_text
from tests.builders.waiting import eventually, eventually_async
from tests.stack_fixture import kirana

pytestmark = pytest.mark.anyio

SWAPS = 100
WARM = 10
"""Swaps after which every part has been used, so that what grows from then on grows with each."""

MORE_BYTES, MORE_FILES, MORE_CHANNELS = 30_000_000, 20, 20
"""By so much the edge may be larger after all the swaps: whatever leaks with each of them leaks on two workers."""

INSTANCE = "edge-9"
WITHIN_SECONDS = 2
CLIENTS = 4
FILE = table_text(a_page("openapi", path="/openapi.json", limits=None))


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def consul(stack):
    """The agent's address; the table that a test puts there is taken out after it, and the stack's edge hears of it."""
    yield stack.consul
    eventually(lambda: httpx.delete(f"{stack.consul}/v1/kv/{KEY}").is_success, despite=(httpx.TransportError,))
    eventually(lambda: in_force(stack) == {hash_of(PACKAGED_ROUTES.read_text())}, despite=(httpx.TransportError,))


def in_force(stack):
    """The versions by which the workers of the stack's own edge serve."""
    families = text_string_to_metric_families(httpx.get(stack.metrics["edge"], timeout=10).text)
    samples = (sample for family in families for sample in family.samples)
    return {sample.labels["version"] for sample in samples if sample.name == "kirana_edge_routes_in_force"}


class Footprint(NamedTuple):
    """What the edge's processes hold together: resident bytes, open files, channels at the broker."""

    rss: int
    files: int
    channels: int


class Edge:
    """An edge of two workers beside the stack's own, on the same Consul."""

    def __init__(self, process, port, metrics_port, management):
        self._process = psutil.Process(process.pid)
        self._management = management
        self.url = f"http://127.0.0.1:{port}"
        self._metrics = f"http://127.0.0.1:{metrics_port}/metrics"

    async def footprint(self):
        """As it is now, once the broker has counted channels of both workers, which it does every five seconds."""
        channels = await eventually_async(self._channels, what="the broker's count of channels")
        family = [self._process, *self._process.children(recursive=True)]
        return Footprint(
            rss=sum(one.memory_info().rss for one in family),
            files=sum(one.num_fds() for one in family),
            channels=channels,
        )

    async def _channels(self):
        async with httpx.AsyncClient(timeout=10) as client:
            links = (await client.get(f"{self._management}/api/connections")).json()
        each = [link.get("channels", 0) for link in links if link.get("user_provided_name") == INSTANCE]
        return sum(each) if len(each) == 2 and all(each) else None

    async def series(self, name, label):
        """Per worker: the values of this label in the series, or the figure where there is no such label."""
        async with httpx.AsyncClient(timeout=10) as client:
            text = (await client.get(self._metrics)).text
        found = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name:
                    found.setdefault(sample.labels["worker"], []).append(sample.labels.get(label, sample.value))
        return found

    async def serves(self, version):
        """Whether both workers serve by this table."""
        found = await self.series("kirana_edge_routes_in_force", "version")
        return len(found) == 2 and all(versions == [version] for versions in found.values())


@pytest.fixture(scope="module")
def edge(stack, tmp_path_factory):
    assert stack.consul, "these tests need an agent; kirana doctor says how to get one"
    tmp_path = tmp_path_factory.mktemp("edge")
    (tmp_path / "routes.yaml").write_text(FILE)
    port, metrics_port = free_port(), free_port()
    environment = edge_environment(stack, passwords(stack.home), port=port, workers=2) | {
        "KIRANA_INSTANCE": INSTANCE,
        "KIRANA_LOG_SPOOL": str(tmp_path / "spool"),
        "KIRANA_METRICS_PORT": str(metrics_port),
        "KIRANA_ROUTES": str(tmp_path / "routes.yaml"),
        "KIRANA_ROUTES_KEPT": str(tmp_path / "kept"),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "edge"],
        env=Home(stack.home).environment() | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        running = Edge(process, port, metrics_port, stack.management)
        eventually(lambda: httpx.get(f"{running.url}/openapi.json").is_success, despite=(httpx.TransportError,))
        yield running
    finally:
        process.terminate()
        process.wait(40)


def numbered(number):
    """A table whose number stands in the body and in a header of one answer: they must never disagree."""
    page = a_page("openapi", path="/openapi.json", limits=None, summary=f"table {number}")
    return table_text(page | {"answer": {"cache_control": f"public, max-age={number}"}})


class Load:
    """Clients that ask without pause, and what they were told."""

    def __init__(self, url):
        self._url = url
        self.failed = []
        self.seen = Counter()

    async def run(self):
        async with httpx.AsyncClient(base_url=self._url, timeout=10) as client:
            while True:
                await self._ask(client)

    async def _ask(self, client):
        try:
            answer = await client.get("/openapi.json")
            number = re.search(r'"summary":"table (\d+)"', answer.text)
            said = number[1] if number else f"none: {answer.status_code} {answer.text[:300]}"
            whole = answer.status_code == 200 and answer.headers["cache-control"] == f"public, max-age={said}"
        except Exception as fault:
            self.failed.append(repr(fault))
            return
        if number is None:
            self.failed.append(said)
            return
        self.seen[int(said)] += 1
        if not whole:
            self.failed.append(f"{answer.status_code} {answer.headers} {said}")


@asynccontextmanager
async def under_load(edge):
    load = Load(edge.url)
    clients = [asyncio.create_task(load.run()) for _ in range(CLIENTS)]
    try:
        yield load
    finally:
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)


@asynccontextmanager
async def shared_table(consul):
    agent = ConsulAgent(consul)
    try:
        yield SharedTable(agent)
    finally:
        await agent.close()


async def put(shared, text):
    """Write the table; Consul may be busy for a moment, and what it did then is seen at the next look."""
    await eventually_async(lambda: put_again(shared, text), what="the write of a table")


async def test_a_hundred_swaps_and_a_hundred_bad_tables_under_load_fail_no_request_and_mix_no_tables(edge, consul):
    async with shared_table(consul) as shared:
        await put(shared, numbered(0))
        await eventually_async(lambda: edge.serves(hash_of(numbered(0))), what="the first table")

        async with under_load(edge) as load:
            for number in range(SWAPS + 1):
                if number:
                    await put(shared, numbered(number))
                await eventually_async(lambda number=number: load.seen[number], what=f"table {number}")
                if number == WARM:
                    at_first = await edge.footprint()
            last = hash_of(numbered(SWAPS))
            await eventually_async(lambda: edge.serves(last), within=WITHIN_SECONDS * 4, what="the last one everywhere")
            before = sum(load.seen.values())

            for number in range(SWAPS):
                await put(shared, numbered(number).replace("auth: none", f"auth: maybe{number}"))
            await eventually_async(lambda: all_refuse(edge), what="the refusals")
            await eventually_async(lambda: sum(load.seen.values()) > before + 100, what="answers meanwhile")

            assert await edge.serves(last)
            await eventually_async(lambda: is_no_larger(edge, at_first), what=f"no more than {at_first}")
        assert load.failed == []
        assert set(load.seen) == set(range(SWAPS + 1))
        assert [each for each in load.seen if each > SWAPS] == []


async def is_no_larger(edge, before):
    now = await edge.footprint()
    return (
        now.rss <= before.rss + MORE_BYTES
        and now.files <= before.files + MORE_FILES
        and now.channels <= before.channels + MORE_CHANNELS
    )


async def all_refuse(edge):
    found = await edge.series("kirana_edge_routes_refused", "")
    return len(found) == 2 and all(values == [1] for values in found.values())


async def test_a_table_reaches_both_workers_in_time_and_is_followed_again_after_consul_was_killed(stack, edge, consul):
    agent = next(seen for seen in seen_processes(Home(stack.home)) if seen.name == "consul")
    async with shared_table(consul) as shared:
        await put(shared, numbered(1))
        await eventually_async(lambda: edge.serves(hash_of(numbered(1))), within=WITHIN_SECONDS * 4)

        async with under_load(edge) as load:
            os.kill(agent.pid, signal.SIGKILL)
            await eventually_async(lambda: put_again(shared, numbered(2)), within=60, what="Consul")
            await eventually_async(lambda: edge.serves(hash_of(numbered(2))), what="the table after Consul's end")
            await eventually_async(lambda: load.seen[2], what="an answer by it")

        assert load.failed == []
        assert set(load.seen) == {1, 2}

    async with httpx.AsyncClient(base_url=consul) as client:
        (await client.delete(f"/v1/kv/{KEY}")).raise_for_status()
    await eventually_async(lambda: edge.serves(hash_of(FILE)), what="the edge's own file")


async def put_again(shared, text):
    try:
        return await shared.replace(await shared.read(), text)
    except Exception:
        return False


async def test_of_two_who_write_the_same_the_second_is_told(consul):
    async with shared_table(consul) as shared:
        seen = await shared.read()

        assert await shared.replace(seen, numbered(1))
        assert not await shared.replace(seen, numbered(2))
        assert (await shared.read()).text == numbered(1)


def test_an_administrator_pushes_a_table_sees_it_in_force_and_takes_it_back(stack, consul, tmp_path):
    text = PACKAGED_ROUTES.read_text().replace("summary: One product", "summary: A single product")
    (tmp_path / "mine.yaml").write_text(text)
    (tmp_path / "bad.yaml").write_text(text.replace("auth: optional", "auth: maybe"))

    with an_admin(stack) as admin:
        refused = kirana(stack.home, "routes", "push", str(tmp_path / "bad.yaml"))
        assert refused.returncode == 78
        assert "auth: Invalid enum value 'maybe'" in refused.stderr
        assert_problem(admin.put("/admin/config", content="a: 1", headers={"Content-Type": "application/yaml"}), 400)

        pushed = kirana(stack.home, "routes", "push", str(tmp_path / "mine.yaml"))
        assert pushed.returncode == 0, pushed.stderr
        eventually(lambda: admin.get("/admin/routes").json().get("version") == hash_of(text))
        assert admin.get("/admin/routes").json()["origin"] == "consul"
        assert kirana(stack.home, "routes", "diff", str(PACKAGED_ROUTES)).returncode == 1

        taken_back = kirana(stack.home, "routes", "withdraw")
        assert taken_back.returncode == 0, taken_back.stderr
        eventually(lambda: admin.get("/admin/routes").json().get("origin") == "file")
