import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import suppress

import pytest

from kirana.stack.state import CHECKOUT
from kirana.stack.steps import Steps
from tests.builders.processes import hearing_interrupts


@pytest.fixture
def steps():
    with hearing_interrupts():
        steps = Steps()
        steps.end_on_interrupt()
        yield steps


def interrupted():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(10)


def test_an_interrupt_ends_the_running_step(steps):
    with pytest.raises(KeyboardInterrupt), steps.step("waiting"):
        interrupted()


def test_one_that_was_lost_lets_no_other_step_begin(steps):
    begun = False
    with suppress(KeyboardInterrupt):  # as Python does where it cannot raise
        interrupted()

    with pytest.raises(KeyboardInterrupt), steps.step("the next"):
        begun = True

    assert not begun


def test_who_was_begun_deaf_to_interrupts_stays_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        Steps().end_on_interrupt()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    "heard_by", ["steps.Steps().end_on_interrupt()", "signal.signal(signal.SIGINT, deploy._take_back)"]
)
def test_one_that_comes_while_a_class_is_made_does_not_decide_how_the_process_ends(tmp_path, heard_by):
    (tmp_path / "interrupted.py").write_text(
        textwrap.dedent(f"""
            import os, signal, sys
            from kirana.commands import deploy
            from kirana.stack import steps
            {heard_by}
            try:
                exec("os.kill(os.getpid(), signal.SIGINT)")  # so dataclasses makes its methods
            except KeyboardInterrupt:
                sys.exit(130)
        """)
    )
    reachable = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (tmp_path, CHECKOUT)))}

    with hearing_interrupts():
        ended = subprocess.run([sys.executable, "-m", "interrupted"], env=reachable, timeout=60, check=False)

    assert ended.returncode == 130
