"""Servers once per session, the demo service once per session, and a fresh caller per test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.builders.postgres import Postgres
from tests.builders.rabbitmq import Rabbit
from tests.builders.waiting import eventually
from tests.contract.caller import Caller, NoReply

HERE = Path(__file__).parent


class Running:
    """A service process."""

    def __init__(self, arguments: list[str], environment: dict[str, str], log: Path) -> None:
        self.log = log
        self._command = [sys.executable, "-W", "ignore", *arguments]
        self._environment = {**os.environ, "PYTHONPATH": str(HERE), "PYTHONSAFEPATH": "1", **environment}
        self.again()

    def again(self) -> None:
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(self._command, env=self._environment, stdout=out, stderr=out, cwd="/")

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def lives(self) -> bool:
        return self.process.poll() is None

    def end(self, how: signal.Signals = signal.SIGTERM, *, seconds: float = 60) -> int:
        if self.lives:
            self.process.send_signal(how)
        return self.process.wait(seconds)


@pytest.fixture(scope="session")
def rabbit() -> Iterator[Rabbit]:
    with Rabbit() as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture(scope="session")
def environment(rabbit: Rabbit, postgres: Postgres) -> dict[str, str]:
    environment = {"KIRANA_AMQP_URL": rabbit.url, "KIRANA_DATABASE_URL": postgres.create("demo")}
    subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "kirana_demo", "migrate"],
        env={**os.environ, "PYTHONPATH": str(HERE), **environment},
        check=True,
        cwd="/",
    )
    return environment


@pytest.fixture(scope="session")
def start(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Running]]:
    """Starts processes and ends those that still live."""
    folder = tmp_path_factory.mktemp("logs")
    started: list[Running] = []

    def start(*arguments: str, name: str, **more: str) -> Running:
        running = Running(list(arguments), {**environment, "KIRANA_INSTANCE": name, **more}, folder / f"{name}.log")
        started.append(running)
        return running

    yield start
    for running in started:
        if running.lives:
            running.end(signal.SIGKILL)


@pytest.fixture(scope="session")
def demo(start: Callable[..., Running], rabbit: Rabbit) -> Running:
    running = start("-m", "kirana_demo", name="demo-1")
    eventually(lambda: is_well(rabbit, "demo"), what="the demo service's health")
    return running


def is_well(rabbit: Rabbit, service: str) -> bool:
    """Asked over the wire, as anybody would; a broker that is away or has no such queue is a no, as is a lost call.

    A queue is declared before it is bound, and what is published between the two is dropped: only a consumer, who
    comes after both, says that a call would arrive.
    """
    try:
        with closing(rabbit.connect()) as connection:
            caller = Caller(connection)
            if not caller.consumers(f"rpc-{service}"):
                return False
            return bool(caller.wait(caller.ask(f"{service}.check_health"), seconds=10).result["ok"])
    except (*rabbit.not_yet, NoReply):
        return False


@pytest.fixture
def caller(rabbit: Rabbit, demo: Running) -> Iterator[Caller]:
    caller = Caller(rabbit.connect())
    yield caller
    caller.connection.close()
    assert demo.lives, demo.log.read_text()[-4000:]
