import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

from kirana.stack import processes
from kirana.stack.bring_down import bring_down
from kirana.stack.bring_up import bring_up
from kirana.stack.home import Home
from kirana.stack.overview import seen_processes
from kirana.stack.programs import Wishes
from kirana.stack.steps import Steps
from tests.builders.opening import opened


@pytest.fixture(scope="module")
def stack(stack):
    """The run's stack, when what the tests before did to it is over."""
    return opened(stack)


class Servers:
    """A stack's servers without services: enough to see the supervision, and up in seconds."""

    def __init__(self, root):
        self.home = Home(root)
        self.state = None

    def up(self):
        self.state = bring_up(self.home, Wishes(), Steps(), servers_only=True)
        return self.state

    def down(self):
        bring_down(self.home, Steps())

    def process(self, name):
        return next(seen for seen in seen_processes(self.home) if seen.name == name)

    def kill(self, pid):
        os.kill(pid, signal.SIGKILL)

    def supervisor_pid(self):
        return int((self.home.run / "supervisord.pid").read_text())

    def pids(self):
        return {found.pid for found in processes.of_stack(self.home.root)}


@pytest.fixture(scope="module")
def servers():
    root = Path(tempfile.mkdtemp(prefix="kirana-servers-"))
    servers = Servers(root)
    try:
        servers.up()
        yield servers
    finally:
        servers.down()
        shutil.rmtree(root)
