"""Consul is told who serves and how it is; whether it listens never matters."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.builders.servers import free_port
from tests.builders.waiting import eventually


class FakeConsul(ThreadingHTTPServer):
    """An agent that remembers what it is told, and can forget."""

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Agent)
        self.services: dict[str, dict[str, object]] = {}
        self.beats: list[tuple[str, str, str]] = []
        self.left: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class Agent(BaseHTTPRequestHandler):
    server: FakeConsul

    def do_PUT(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        *_, verb, last = url.path.split("/")
        status = 200
        if url.path.endswith("/service/register"):
            service = json.loads(body)
            self.server.services[service["id"]] = service
        elif verb == "deregister":
            self.server.services.pop(last, None)
            self.server.left.append(last)
        elif last.removeprefix("service:") in self.server.services:
            self.server.beats.append((verb, last, parse_qs(url.query).get("note", [""])[0]))
        else:
            status = 404
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def consul():
    agent = FakeConsul(free_port())
    yield agent
    agent.close()


def test_a_service_registers_beats_with_its_health_comes_back_when_forgotten_and_leaves(consul, start, demo):
    running = start("-m", "kirana_demo", name="seen-1", KIRANA_CONSUL_URL=f"http://127.0.0.1:{consul.server_port}")

    eventually(lambda: ("pass", "service:demo-seen-1", "broker: ok, database: ok") in consul.beats, what="a beat")
    registered = consul.services["demo-seen-1"]
    assert registered["name"] == "demo"
    assert [check["ttl"] for check in registered["checks"]] == ["10s"]
    consul.services.clear()
    eventually(lambda: "demo-seen-1" in consul.services, what="a new registration")
    assert running.end() == 0
    eventually(lambda: consul.left == ["demo-seen-1"], what="the farewell, for which the service does not wait long")


def test_a_consul_that_is_away_changes_nothing(caller, start):
    running = start("-m", "kirana_demo", name="unseen", KIRANA_CONSUL_URL=f"http://127.0.0.1:{free_port()}")

    eventually(lambda: "consul.away" in running.log.read_text(), what="a vain beat")
    assert caller.call("demo.echo", "x").result["text"] == "x"
    assert running.end() == 0
