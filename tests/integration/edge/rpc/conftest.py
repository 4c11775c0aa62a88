from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge.rpc import consumers, link
from tests.builders.rabbitmq import Rabbit

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
