"""What is left of a stack after it was taken down, whatever had happened to it before."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import psutil
import pytest

from kirana.stack.bring_down import bring_down, remove
from kirana.stack.home import Home
from kirana.stack.packages import postgres_programs
from kirana.stack.state import save
from kirana.stack.steps import Steps
from tests.builders.processes import hearing_interrupts
from tests.builders.waiting import eventually
from tests.integration.stack.conftest import Servers
from tests.stack_fixture import kirana

pytestmark = pytest.mark.takes(90)


@pytest.fixture
def deep(tmp_path):
    """A home whose path is too long for a socket and closed to the user that PostgreSQL runs as."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    servers = Servers(closed / ("x" * 100))
    yield servers
    servers.down()


def test_a_deep_and_closed_home_works_and_leaves_nothing(deep):
    deep.up()
    pids = deep.pids()
    names = {seen.name for seen in map(deep.process, ("postgres", "rabbitmq", "redis-carts", "redis-edge"))}

    deep.down()

    assert len(names) == 4
    assert pids
    assert not deep.pids()
    assert not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids)
    assert not deep.home.short_run.is_symlink()


def test_down_ends_marked_processes_and_no_others(tmp_path):
    home = Home(tmp_path / "home")
    home.make()
    sleeper = [sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)"]
    ours = subprocess.Popen(sleeper, env=home.environment(), stdout=subprocess.PIPE)
    stranger = subprocess.Popen(sleeper, env=os.environ | {"KIRANA_HOME": str(home.root)}, stdout=subprocess.PIPE)
    try:
        for process in (ours, stranger):
            process.stdout.readline()

        bring_down(home, Steps())

        assert ours.wait(5) != 0
        assert stranger.poll() is None
    finally:
        for process in (ours, stranger):
            process.kill()
            process.wait()
            process.stdout.close()


def test_reset_leaves_only_downloads(tmp_path):
    home = Home(tmp_path / "home")
    home.make()
    (home.root / "packages").mkdir()

    remove(home, Steps())

    assert [path.name for path in home.root.iterdir()] == ["packages"]


def test_status_of_nothing_says_what_to_do(tmp_path):
    answered = kirana(tmp_path, "status")

    assert answered.returncode == 3
    assert "kirana up" in answered.stderr
    assert "Traceback" not in answered.stderr


def test_down_of_nothing_is_fine(tmp_path):
    assert kirana(tmp_path / "absent", "down").returncode == 0
    assert not (tmp_path / "absent").exists()


def test_down_says_whether_there_was_anything_to_stop(tmp_path):
    home = Home(tmp_path / "home")
    home.make()

    assert "was running" in kirana(home.root, "down").stderr


@pytest.mark.parametrize(
    "command", [["token", "--user", "admin"], ["audit"], ["shell"], ["seed"], ["demo"]], ids=lambda words: words[0]
)
def test_what_needs_a_running_shop_says_at_once_that_it_does_not_run(servers, tmp_path, command):
    save(replace(servers.state, home=tmp_path))

    answered = kirana(tmp_path, *command, timeout=60)

    assert answered.returncode == 3
    assert "does not run" in answered.stderr
    assert "kirana up" in answered.stderr
    assert "Traceback" not in answered.stderr


def test_an_interrupted_up_can_be_looked_at_and_taken_up_again(tmp_path):
    servers = Servers(tmp_path / "home")
    with hearing_interrupts():
        begun = subprocess.Popen(
            [sys.executable, "-m", "kirana.cli", "up"],
            env=os.environ | {"KIRANA_HOME": str(servers.home.root)},
            stderr=subprocess.PIPE,
            text=True,
        )
    try:
        while "PostgreSQL" not in begun.stderr.readline():
            assert begun.poll() is None
        begun.send_signal(signal.SIGINT)
        said = begun.communicate(timeout=30)[1]

        assert begun.returncode == 130
        assert "kirana up" in said
        eventually(lambda: servers.process("postgres").state == "RUNNING", what="the server that was left running")
        assert servers.up().postgres
    finally:
        servers.down()


def test_postgresql_is_found_beside_the_version_that_made_the_data(tmp_path):
    (tmp_path / "PG_VERSION").write_text("1\n")

    assert postgres_programs(tmp_path) is None
    assert postgres_programs() is not None
