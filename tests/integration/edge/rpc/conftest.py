from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from edge.rpc import consumers, link
from tests.builders.proxy import Proxy
from tests.builders.rabbitmq import Rabbit
from tests.builders.waiting import eventually
from tests.contract.conftest import is_well
from tests.integration.edge.rpc.plane import RETURNING, Plane, url_at
from tests.integration.edge.rpc.things import Demo

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def broker():
    with Rabbit() as server:
        yield server


@pytest.fixture
def a_patient_link(monkeypatch):
    """For tests whose broker is well: on a busy machine it may be late, and is not to be taken for silent."""
    monkeypatch.setattr(link, "CONFIRM_SECONDS", 20)
    monkeypatch.setattr(consumers, "ASKING_SECONDS", 20)


@pytest.fixture(scope="module")
def demo_settings():
    """What the demo service of a plane is to have besides; a module may say."""
    return {}


@pytest.fixture(scope="module")
def opened_plane(broker, postgres, tmp_path_factory, demo_settings):
    with Proxy(broker.port) as near_edge, Proxy(broker.port) as near_service:
        demo = Demo(postgres.create(f"things_{uuid.uuid4().hex}"), tmp_path_factory.mktemp("logs"))
        service = demo.start(url_at(near_service.port), "things-1", **demo_settings)
        plane = Plane(broker, near_edge, near_service, demo, service)
        try:
            plane.policy(RETURNING)
            eventually(lambda: is_well(broker, "demo"), what="the service")
            yield plane
        finally:
            for running in demo.living():
                running.process.send_signal(signal.SIGCONT)
                running.end(signal.SIGKILL)


@pytest.fixture
def plane(opened_plane):
    """All of it well, and well again after the test."""
    yield opened_plane
    for network in (opened_plane.near_edge, opened_plane.near_service):
        network.heal()
        network.cut()
    if opened_plane.service.lives:
        opened_plane.service.process.send_signal(signal.SIGCONT)
    else:
        opened_plane.service.again()
    eventually(
        lambda: opened_plane.listening() == 1 and is_well(opened_plane.broker, "demo"),
        what="the service after the test",
    )


@pytest.fixture(scope="module")
def start_stock_service(broker):
    started = []

    def start() -> subprocess.Popen[str]:
        service = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(HERE / "stock_service.py"), broker.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONSAFEPATH": "1"},
        )
        started.append(service)
        assert service.stdout
        assert service.stdout.readline() == "ready\n"
        return service

    yield start
    for service in started:
        service.kill()
        service.wait()
        service.stdout.close()


@pytest.fixture(scope="module")
def stock_service(start_stock_service):
    return start_stock_service()
