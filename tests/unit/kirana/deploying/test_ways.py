"""When an edge may be given to clients: when it says so, and does what it says, as far as the one beside it can."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kirana.deploying import ways
from kirana.deploying.sections import Section
from kirana.deploying.ways import EdgeWay
from kirana.stack import front, readiness
from kirana.stack.home import Home
from tests.builders.waiting import eventually

PLENTY, SOON = 60.0, 1.0
"""Seconds: how long who answers may take on a busy machine; how long a test waits for who does not."""


@contextmanager
def an_edge(*, ready=200, api=200):
    """Answers so; ``None`` is never answered. Yields its port."""
    enough = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status = ready if self.path == "/health/ready" else api
            if status is None:
                enough.wait()
                return
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_port
        finally:
            enough.set()
            server.shutdown()
            thread.join()


@pytest.fixture
def way(tmp_path, monkeypatch):
    monkeypatch.setattr(ways, "PROBE_SECONDS", PLENTY)
    monkeypatch.setattr(readiness, "TIMEOUT_SECONDS", PLENTY)
    monkeypatch.setattr(front, "nginx", lambda: tmp_path)

    def to(canary, edge=1):
        (tmp_path / "ports.json").write_text(json.dumps({"front": 1, "canary": canary, "edge": edge}))
        return EdgeWay(Home(tmp_path))

    return to


@pytest.fixture
def somebody_hangs(monkeypatch):
    """Who answers may miss it too on a busy machine."""
    monkeypatch.setattr(ways, "PROBE_SECONDS", SOON)


def section(port):
    return Section("edge", f'[program:edge]\nenvironment=KIRANA_EDGE_PORT="{port}"\n')


@pytest.mark.parametrize(
    ("said", "complaint"),
    [({}, ""), ({"api": 503}, ""), ({"ready": 503}, "it does not answer")],
    ids=["well", "refuses", "not ready"],
)
def test_an_edge_is_ready_when_it_says_so_and_answers_a_request(way, said, complaint):
    with an_edge() as main, an_edge(**said) as canary:
        assert way(canary, main).ready(section(canary))() == complaint


@pytest.mark.parametrize("replaced", [False, True], ids=["the one on trial", "the one in the old one's place"])
def test_an_edge_that_answers_nothing_while_the_other_does_is_not_ready(way, somebody_hangs, replaced):
    with an_edge() as well, an_edge(api=None) as hanging:
        probe = (way(well, hanging) if replaced else way(hanging, well)).ready(section(hanging))

        assert eventually(probe) == "it answers no request within 1 s"


@pytest.mark.parametrize("status", [200, 500])
def test_whether_the_version_on_trial_answers_is_asked_of_itself(way, status):
    with an_edge(api=status) as canary, an_edge() as main:
        assert way(canary, main).probe()


def test_a_version_that_answers_nothing_while_the_old_one_does_is_to_blame(way, somebody_hangs):
    with an_edge(api=None) as canary, an_edge() as main:
        eventually(lambda: not way(canary, main).probe())


def test_a_version_is_not_to_blame_for_what_the_old_one_does_not_answer_either(way, somebody_hangs):
    with an_edge(api=None) as canary, an_edge(api=None) as main:
        assert way(canary, main).probe()
        assert way(canary, main).ready(section(canary))() == ""


def test_an_old_edge_is_back_when_it_says_so(way, somebody_hangs):
    with an_edge() as canary, an_edge(api=None) as main, an_edge(ready=503) as away:
        assert way(canary, main).back(section(main))() == ""
        assert way(canary, away).back(section(away))() == "it does not answer"


def test_an_edge_that_is_gone_answers_nothing(way):
    with an_edge() as main:
        assert way(1, main).probe() is False
