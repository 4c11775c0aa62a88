"""The task that gives a broker its definitions may be killed at any moment, and is whole when it is run again."""

import json
import os
import random
import subprocess
import sys
import time
import urllib.request
from base64 import b64encode
from pathlib import Path

import psutil
import pytest

from kirana.stack.definitions import CALLS, TEMPLATE, VHOST, password_hash, render
from tests.builders.rabbitmq import Rabbit
from tests.builders.servers import free_port
from tests.builders.waiting import eventually

ROOT = Path(__file__).parents[3]
TIMES = 6
USERS = (*CALLS, "operator")


class Managed(Rabbit):
    """With its HTTP API."""

    def __init__(self):
        super().__init__()
        self.management = f"http://127.0.0.1:{free_port()}"

    def prepare(self):
        super().prepare()
        with (self.home / "rabbitmq.conf").open("a") as file:
            file.write(f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {self.management.rpartition(':')[2]}\n")
        (self.home / "enabled_plugins").write_text("[rabbitmq_management].\n")

    def answers(self):
        return super().answers() and self.state()

    def ask(self, method, path, **told):
        request = urllib.request.Request(f"{self.management}/api/{path}", json.dumps(told).encode(), method=method)
        request.add_header("Authorization", "Basic " + b64encode(b"guest:guest").decode())
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")

    def state(self):
        """All that is defined, in an order of its own."""
        return {
            kind: sorted(json.dumps(each, sort_keys=True) for each in found)
            for kind, found in self.ask("GET", "definitions").items()
            if isinstance(found, list)
        }

    def forget(self, *, users):
        """As before the first time: nothing, or ``users`` alone."""
        self.ask("DELETE", f"vhosts/{VHOST}")
        for user in USERS:
            if users:
                self.ask("PUT", f"users/{user}", password_hash=password_hash(user), tags="")
            elif any(f'"{user}"' in each for each in self.state()["users"]):
                self.ask("DELETE", f"users/{user}")


@pytest.fixture(scope="module")
def broker():
    with Managed() as broker:
        yield broker


class Task:
    """As compose runs it, with a file that has users and their passwords; or as Kubernetes does, with the template."""

    def __init__(self, broker, told, *, users):
        self._broker, self._users = broker, users
        self._told = told | {"KIRANA_AMQP_URL": broker.url, "KIRANA_MANAGEMENT_URL": broker.management}

    def forget(self):
        """All that it did."""
        self._broker.forget(users=self._users)

    def begin(self):
        """Returns when it has reached the broker."""
        process = psutil.Popen(
            [sys.executable, "-m", "kirana.broker_definitions"],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **self._told},
            stdout=subprocess.DEVNULL,
        )
        eventually(
            lambda: process.poll() is not None or process.net_connections(),
            every=0.002,
            what="a run of the task",
            despite=(psutil.Error,),  # it ends just now
        )
        return process


@pytest.fixture(params=["compose", "Kubernetes"])
def task(request, broker, tmp_path):
    if request.param == "Kubernetes":
        return Task(broker, {"KIRANA_DEFINITIONS_TEMPLATE": str(TEMPLATE)}, users=True)
    (tmp_path / "definitions.json").write_text(render({user: f"word of {user}" for user in USERS}))
    return Task(broker, {"KIRANA_DEFINITIONS": str(tmp_path / "definitions.json")}, users=False)


def test_what_was_killed_half_way_and_run_again_leaves_the_broker_as_one_whole_run_does(broker, task):
    task.forget()
    process, began = task.begin(), time.monotonic()
    assert process.wait(60) == 0
    took, whole = time.monotonic() - began, broker.state()
    left = []

    for _ in range(TIMES):
        task.forget()
        killed = task.begin()
        time.sleep(random.uniform(0, took))
        killed.kill()
        killed.wait(60)
        left.append(sum(map(len, broker.state().values())))
        assert task.begin().wait(60) == 0
        assert broker.state() == whole, left

    assert len(whole["queues"]) > 10
