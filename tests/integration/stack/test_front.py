"""The local stack's nginx: what it says where no edge answers, and what it leaves behind when it is killed outright."""

import os
import shutil
import subprocess
import sys
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import psutil
import pytest
from typer.testing import CliRunner

from kirana.cli import build_app
from kirana.stack import front
from kirana.stack.bring_down import bring_down
from kirana.stack.home import Home
from kirana.stack.processes import of_stack
from kirana.stack.steps import Steps
from kirana.stack.supervisor_conf import LAUNCH
from tests.builders.servers import free_port
from tests.builders.waiting import eventually


class Front:
    """Started as the supervisor does it."""

    def __init__(self, root):
        self.home = Home(root)
        self.home.make()
        self.ports = {name: free_port() for name in ("edge", "canary", "front")}
        self._program = front.program(self.home, self.ports)
        self.started = []
        self.workers = []

    def start(self):
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", LAUNCH, "keep", *self._program.command],
            env=self.home.environment()
            | dict(self._program.environment)
            | {"SUPERVISOR_PROCESS_NAME": front.NAME, "PATH": os.environ["PATH"]},
            cwd=self._program.folder,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.started.append(process)
        workers = eventually(lambda: workers_of(process.pid), what="nginx's workers")
        self.workers += workers
        return workers

    def kill(self):
        self.started[-1].kill()
        self.started[-1].wait()

    def end(self):
        for process in self.started:
            if process.poll() is None:  # a worker may have begun since
                self.workers += workers_of(process.pid)
            process.kill()
            process.wait()
        for worker in self.workers:
            with suppress(psutil.NoSuchProcess):
                worker.kill()


def workers_of(pid):
    """Not what keeps its file in the spool, which ends by itself within seconds."""
    return [child for child in psutil.Process(pid).children() if child.name() == "nginx"]


@pytest.fixture
def nginx(tmp_path):
    """Its home is on another disk."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "disk")
    there = Front(tmp_path / "home")
    yield there
    there.end()


def is_gone(process):
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_a_front_that_was_killed_starts_again_and_nobody_of_before_holds_its_port(nginx):
    before = nginx.start()
    nginx.kill()
    assert not any(map(is_gone, before))

    after = nginx.start()

    assert nginx.started[-1].poll() is None
    assert all(map(is_gone, before))
    assert {each.pid for each in of_stack(nginx.home.root)} >= {each.pid for each in after}


@pytest.fixture
def strangers(nginx, tmp_path):
    """The front of another stack, and an nginx of somebody who stands in our folder."""
    other = Front(tmp_path / "other")
    theirs = shutil.copy(shutil.which("sleep"), tmp_path / "nginx")
    with subprocess.Popen([theirs, "60"], cwd=nginx.home.root) as standing:
        yield [*other.start(), psutil.Process(standing.pid)]
        standing.kill()
    other.end()


def test_down_ends_what_a_killed_front_has_left_and_nobody_else(nginx, strangers):
    left = nginx.start()
    nginx.kill()

    assert bring_down(nginx.home, Steps())

    assert all(map(is_gone, left))
    assert not any(map(is_gone, strangers))


def asked(nginx, method="GET", **given):
    """One request to it, as soon as it listens."""
    address = f"http://127.0.0.1:{nginx.ports['front']}/api/products"
    return eventually(
        lambda: httpx.request(method, address, timeout=30, trust_env=False, **given), despite=(httpx.ConnectError,)
    )


@pytest.mark.parametrize(
    ("given", "told", "why"),
    [
        ({}, "failed  503 edge.away  GET /api/products", "no edge took the connection: 127.0.0.1:"),
        ({"method": "POST"}, "failed  504 outcome.unknown  POST /api/products", "no edge took the connection"),
        ({"method": "POST", "content": b"x" * 2**22}, "refused  413 request.too_large  POST", "client_max_body_size"),
    ],
    ids=["no edge", "a change", "too large"],
)
def test_what_it_answers_itself_is_a_problem_document_whose_id_finds_the_reason(nginx, given, told, why):
    nginx.start()

    answer = asked(nginx, **given)

    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["status"] == answer.status_code
    spool = nginx.home.root / "spool"
    eventually((spool / "front.jsonl").read_text, what="a line of it", despite=(FileNotFoundError,))
    done = CliRunner().invoke(build_app(), ["logs", "--spool", str(spool), problem["request_id"]])
    first = done.stdout.splitlines()
    assert told in first[0], done.output
    assert why in first[1]
    assert first[2].endswith("front")


def test_the_edge_is_told_the_id_that_the_client_is(nginx):
    seen = []

    class Edge(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.headers["X-Request-Id"])
            self.send_response(200)
            self.send_header("X-Request-Id", seen[-1])
            self.send_header("Content-Length", "0")
            self.end_headers()

    nginx.start()
    with ThreadingHTTPServer(("127.0.0.1", nginx.ports["edge"]), Edge) as edge:
        threading.Thread(target=edge.serve_forever).start()
        made, offered = asked(nginx), asked(nginx, headers={"X-Request-Id": "of-the-client"})
        edge.shutdown()

    assert seen == [made.headers["x-request-id"], "of-the-client"]
    assert offered.headers.get_list("x-request-id") == ["of-the-client"]
