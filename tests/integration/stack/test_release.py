"""Which release a process runs is told by its lines, its metrics and Consul, in one word; and whether Consul hears."""

import json
import re
import subprocess
import sys
import urllib.request

import httpx
import orjson
import pytest

from kirana.stack.home import Home
from kirana.stack.passwords import passwords
from kirana.stack.programs import service_environment
from tests.builders.servers import free_port
from tests.builders.waiting import eventually

BUILD_INFO = re.compile(r'^kirana_build_info\{version="([^"]+)"(?:,worker="[^"]+")?\} 1\.0$', re.MULTILINE)


@pytest.fixture
def cut_off(stack, tmp_path):
    """The metrics of a catalog whose Consul is not there."""
    port = free_port()
    environment = service_environment("catalog", stack, passwords(stack.home)) | {
        "KIRANA_INSTANCE": "catalog-8",
        "KIRANA_LOG_SPOOL": str(tmp_path),
        "KIRANA_CONSUL_URL": "http://127.0.0.1:9",
        "KIRANA_METRICS_PORT": str(port),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "rpc_services", "catalog"],
        env=Home(stack.home).environment() | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield f"http://127.0.0.1:{port}/metrics"
    process.terminate()
    process.wait(30)


def metrics_at(address):
    return httpx.get(address, timeout=10).text


def releases(stack):
    """What each process calls its release in its metrics; another part may be of another."""
    told = {program: BUILD_INFO.findall(metrics_at(address)) for program, address in stack.metrics.items()}
    assert all(told.values()), told
    assert all(len(set(found)) == 1 for found in told.values()), "the workers of one edge disagree"
    return {program: found[0] for program, found in told.items()}


def test_every_process_tells_what_it_was_started_as(stack):
    assert all(re.fullmatch("[0-9a-f]{12}", release) for release in releases(stack).values())


def test_the_lines_of_a_process_tell_its_release(stack):
    for program, release in releases(stack).items():
        path = stack.spool / f"{program if '-' in program else f'{program}-1'}.jsonl"
        last = path.read_bytes().splitlines(keepends=True)[-2:]  # the very last may be half a line
        assert orjson.loads(last[0])["service"]["version"] == release, program


def test_consul_knows_the_release_of_every_process(stack):
    told = releases(stack)

    def registered():
        with urllib.request.urlopen(f"{stack.consul}/v1/agent/services", timeout=5) as answer:
            found = json.load(answer).values()
        return {(each["Service"], each["Meta"].get("version")) for each in found}

    services = {(program.rpartition("-")[0] or program, release) for program, release in told.items()}
    eventually(lambda: registered() >= services - {("shipper", told.get("shipper"))}, within=90, what="all of them")


def test_every_process_tells_that_consul_hears_it(stack):
    for program, address in stack.metrics.items():
        eventually(
            lambda address=address: re.search(r"^kirana_consul_connected\S* 1\.0$", metrics_at(address), re.MULTILINE),
            what=f"{program} heard by Consul",
        )


def test_a_service_that_consul_does_not_hear_says_so(cut_off):
    eventually(
        lambda: "kirana_consul_connected 0.0" in metrics_at(cut_off).splitlines(),
        what="its word",
        despite=(httpx.TransportError,),
    )
