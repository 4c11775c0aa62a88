"""The local stack's nginx when its main process was killed outright, and its workers live on with the port."""

import os
import shutil
import subprocess
import sys
from contextlib import suppress

import psutil
import pytest

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
            env=self.home.environment() | {"SUPERVISOR_PROCESS_NAME": front.NAME, "PATH": os.environ["PATH"]},
            cwd=self._program.folder,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.started.append(process)
        workers = eventually(lambda: psutil.Process(process.pid).children(), what="nginx's workers")
        self.workers += workers
        return workers

    def kill(self):
        self.started[-1].kill()
        self.started[-1].wait()

    def end(self):
        for process in self.started:
            process.kill()
            process.wait()
        for worker in self.workers:
            with suppress(psutil.NoSuchProcess):
                worker.kill()


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
