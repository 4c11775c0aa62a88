"""One whole private stack for a run of tests, beside any other; a conftest imports the fixture ``stack`` from here."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from kirana.stack.state import load
from tests.builders.waiting import eventually

UP_SECONDS = 280
DOWN_SECONDS = 120

QUICK = {"KIRANA_KEY_PUBLISH_AHEAD": "4", "KIRANA_SMTP_TIMEOUT": "2"}
"""Seconds: in a test nobody waits an hour for the next signing key, nor a minute for what a killed postman had."""


def environment_of(home):
    """What every ``kirana`` on this stack is run with: another set-up would restart whatever was started with this."""
    return os.environ | {"KIRANA_HOME": str(home), "PYTHONSAFEPATH": "1"} | QUICK


def kirana(home, *arguments, timeout=UP_SECONDS, variables=None, **options):
    """Run the command line on the stack in ``home``, as an operator would; ``variables`` are set in the shell, too."""
    return subprocess.run(
        [sys.executable, "-m", "kirana.cli", *arguments],
        env=environment_of(home) | (variables or {}),
        stdin=options.pop("stdin", subprocess.DEVNULL) if "input" not in options else None,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        **options,
    )


def buys(home):
    """Walk a purchase through the shop. The walk expects a good first answer each time; a busy machine may owe one."""

    def walk():
        walked.append(kirana(home, "demo"))
        return walked[-1].returncode == 0

    walked = []
    eventually(walk, within=120, what=lambda: walked[-1].stdout + walked[-1].stderr)


@pytest.fixture(scope="session")
def stack():
    """The state of a running stack with the demo shop in it. The same one for every test of the run.

    ``KIRANA_TEST_HOME`` names a stack that already runs, for quick rounds while a test is being written.
    """
    if running := os.environ.get("KIRANA_TEST_HOME"):
        yield load(Path(running))
        return
    home = Path(tempfile.mkdtemp(prefix="kirana-test-"))
    try:
        started = kirana(home, "up")
        assert started.returncode == 0, started.stderr
        yield load(home)
    finally:
        stopped = kirana(home, "down", timeout=DOWN_SECONDS)
        assert stopped.returncode == 0, stopped.stderr
        shutil.rmtree(home)
