"""When an edge may be given to clients: when it says so, and does what it says."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kirana.deploying import ways
from kirana.deploying.sections import Section
from kirana.deploying.ways import EdgeWay
from kirana.stack import front
from kirana.stack.home import Home


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
    monkeypatch.setattr(ways, "PROBE_SECONDS", 1.0)
    monkeypatch.setattr(front, "nginx", lambda: tmp_path)

    def to(port):
        (tmp_path / "ports.json").write_text(json.dumps({"front": 1, "canary": port}))
        return EdgeWay(Home(tmp_path))

    return to


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({}, ""),
        ({"api": 503}, ""),
        ({"ready": 503}, "it does not answer"),
        ({"api": None}, "it answers no request within 1 s"),
    ],
    ids=["well", "refuses", "not ready", "hangs"],
)
def test_an_edge_is_ready_when_it_says_so_and_answers_a_request(way, said, complaint):
    with an_edge(**said) as port:
        probe = way(port).ready(
            Section("edge-canary", f'[program:edge-canary]\nenvironment=KIRANA_EDGE_PORT="{port}"\n')
        )

        assert probe() == complaint


@pytest.mark.parametrize(("api", "answered"), [(200, True), (500, True), (None, False)])
def test_whether_the_version_on_trial_answers_is_asked_of_itself(way, api, answered):
    with an_edge(api=api) as port:
        assert way(port).probe() is answered


def test_an_edge_that_is_gone_answers_nothing(way):
    assert way(1).probe() is False
