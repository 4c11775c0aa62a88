"""Consul knows every process, how it is and when it goes; the edge knows what Consul knows. On a real agent."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.request

import pytest

from edge.discovery.agent import ConsulAgent
from edge.discovery.table import InstanceTable
from edge.discovery.watch import Watch
from kirana.stack.definitions import METHODS
from kirana.stack.home import Home
from kirana.stack.overview import seen_processes
from kirana.stack.passwords import passwords
from kirana.stack.programs import service_environment
from rpc_services import health_file
from tests.builders.waiting import eventually, eventually_async


@pytest.fixture
def consul(stack):
    assert stack.consul, "these tests need an agent; kirana doctor says how to get one"
    return stack.consul


@pytest.fixture
def another_catalog(stack, tmp_path):
    """A second catalog beside the supervised one, as a container would run it; SIGTERM ends it."""
    environment = service_environment("catalog", stack, passwords(stack.home)) | {
        "KIRANA_INSTANCE": "catalog-9",
        "KIRANA_LOG_SPOOL": str(tmp_path),
        health_file.VARIABLE: str(tmp_path / "health.json"),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "rpc_services", "catalog"],
        env=Home(stack.home).environment() | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield process
    process.terminate()
    process.wait(30)


def asked(url, method="GET"):
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=5) as answer:
        return json.loads(answer.read() or b"null")


def checks(consul):
    """Status and note by the id of the service; empty while the agent is away or has no leader."""
    try:
        found = asked(f"{consul}/v1/health/state/any")
    except OSError:
        return {}
    return {check["ServiceID"]: (check["Status"], check["Output"]) for check in found if check["ServiceID"]}


def all_pass(consul):
    passing = {name for name, (status, _) in checks(consul).items() if status == "passing"}
    return passing >= {f"{service}-{service}-1" for service in METHODS} and any(name[:4] == "edge" for name in passing)


def healthy(path):
    command = [sys.executable, "-m", "rpc_services", "healthy"]
    environment = os.environ | {health_file.VARIABLE: str(path)}
    return subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0


def test_every_process_is_registered_with_a_check_that_names_what_it_needs(consul):
    eventually(lambda: all_pass(consul), within=90)

    notes = {name: note for name, (_, note) in checks(consul).items()}
    assert notes["order-order-1"] == "broker: ok, database: ok"
    assert "stores: ok" in notes["cart-cart-1"]


def test_who_was_forgotten_registers_again(consul):
    eventually(lambda: all_pass(consul), within=90)

    asked(f"{consul}/v1/agent/service/deregister/order-order-1", "PUT")

    assert "order-order-1" not in asked(f"{consul}/v1/agent/services")
    eventually(lambda: all_pass(consul))


def test_all_are_there_again_after_the_agent_was_killed(stack, consul):
    before = next(seen for seen in seen_processes(Home(stack.home)) if seen.name == "consul")

    os.kill(before.pid, signal.SIGKILL)

    eventually(lambda: not checks(consul) or all_pass(consul))
    eventually(lambda: all_pass(consul), within=60)


def test_a_service_that_is_asked_to_stop_leaves_and_says_so_to_its_containers_health_check(
    consul, another_catalog, tmp_path
):
    eventually(lambda: checks(consul).get("catalog-catalog-9", ("",))[0] == "passing", what="its check")
    eventually(lambda: healthy(tmp_path / "health.json"), what="its health file")

    another_catalog.terminate()

    eventually(lambda: "catalog-catalog-9" not in asked(f"{consul}/v1/agent/services"), within=30)
    assert another_catalog.wait(30) == 0
    assert not healthy(tmp_path / "health.json")


def test_the_table_of_an_edge_follows_who_comes_and_goes(consul, another_catalog):
    def is_known(table):
        return "catalog-catalog-9" in {one.id for one in table.passing("catalog")}

    async def follow():
        agent, table = ConsulAgent(consul), InstanceTable()
        watching = asyncio.create_task(Watch(agent, table, ["catalog"]).run())
        try:
            await eventually_async(lambda: is_known(table), what="the newcomer in the table")
            another_catalog.terminate()
            await eventually_async(lambda: not is_known(table), within=30, what="its leaving")
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await agent.close()

    asyncio.run(follow())


def test_an_edge_knows_the_weight_and_version_of_any_service_and_who_is_unwell(consul):
    def registration(number, status):
        return {
            "ID": f"reviews-{number}", "Name": "reviews", "Address": "127.0.0.1", "Port": 7000 + number,
            "Tags": ["version=canary"], "Weights": {"Passing": number, "Warning": 1},
            "Check": {"CheckID": f"reviews-{number}", "TTL": "60s", "Status": status},
        }  # fmt: skip

    def put(path, document=None):
        data = None if document is None else json.dumps(document).encode()
        urllib.request.urlopen(urllib.request.Request(f"{consul}/v1/agent/{path}", data, method="PUT"), timeout=5)

    async def follow():
        agent, table = ConsulAgent(consul), InstanceTable()
        watch = Watch(agent, table, ())
        watching = asyncio.create_task(watch.run())
        watch.follow_also(["reviews"])
        try:
            await eventually_async(lambda: len(table.passing("reviews")) == 1, what="the instances in the table")
            seen = table.passing("reviews")
            put("check/fail/reviews-3")
            await eventually_async(lambda: not table.passing("reviews"), within=30, what="its failing check")
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await agent.close()
        return seen

    try:
        put("service/register", registration(3, "passing"))
        put("service/register", registration(4, "critical"))
        (one,) = asyncio.run(follow())
    finally:
        for number in (3, 4):
            put(f"service/deregister/reviews-{number}")

    assert (one.id, one.port, one.weight, one.version) == ("reviews-3", 7003, 3, "canary")
