import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from shared.metrics import listening
from shared.metrics.listening import MOST_AT_ONCE, Listener
from tests.builders.waiting import eventually


@pytest.fixture
def listen():
    started = []

    def start(render, port=0):
        listener = Listener("127.0.0.1", port, render)
        listener.start()
        started.append(listener)
        return listener

    yield start
    for listener in started:
        listener.stop()


def url(listener, path="/metrics"):
    eventually(lambda: listener.port is not None)
    return f"http://127.0.0.1:{listener.port}{path}"


def test_a_scrape_gets_every_text_as_prometheus_wants_it(listen):
    answer = httpx.get(url(listen(lambda: ["a 1\n", "b 2\n"])))

    assert answer.text == "a 1\nb 2\n"
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_nothing_else_is_there(listen):
    assert httpx.get(url(listen(list), "/")).status_code == 404


def test_a_fault_in_one_scrape_is_said_and_the_next_is_answered(listen):
    faults = [ZeroDivisionError()]

    def render():
        if faults:
            raise faults.pop()
        yield "a 1\n"

    where = url(listen(render))

    assert httpx.get(where).status_code == 500
    assert httpx.get(where).text == "a 1\n"


@pytest.mark.parametrize("noise", [b"\0\xff\r\n\r\n", b"GET /metrics\r\n", b"", b"GET " + b"x" * 100_000 + b"\r\n\r\n"])
def test_what_is_no_request_harms_nobody(listen, noise):
    where = url(listener := listen(lambda: ["a 1\n"]))
    with socket.create_connection(("127.0.0.1", listener.port)) as rude:
        rude.sendall(noise)

    assert httpx.get(where).text == "a 1\n"


def test_those_who_never_finish_asking_are_turned_away_before_they_are_many(listen):
    where = url(listener := listen(lambda: ["a 1\n"]))
    address = ("127.0.0.1", listener.port)
    idle = [socket.create_connection(address) for _ in range(MOST_AT_ONCE)]
    with socket.create_connection(address, timeout=5) as another:
        assert another.recv(1) == b""

    for each in idle:
        each.close()

    eventually(lambda: httpx.get(where).text == "a 1\n", despite=(httpx.HTTPError,))


def test_a_port_that_is_taken_is_waited_for(listen, monkeypatch):
    monkeypatch.setattr(listening, "RETRY_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as predecessor:
        listener = listen(lambda: ["a 1\n"], predecessor.getsockname()[1])
        assert listener.port is None

    assert httpx.get(url(listener)).text == "a 1\n"


def test_who_listens_no_more_leaves_no_thread_behind(listen):
    before = threading.active_count()
    url(listener := listen(list))

    listener.stop()

    eventually(lambda: threading.active_count() <= before)


def test_under_eventlet_others_run_between_any_two_families():
    probe = Path(__file__).with_name("scrape_under_eventlet.py")

    ended = subprocess.run([sys.executable, probe], capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "10000 39"
