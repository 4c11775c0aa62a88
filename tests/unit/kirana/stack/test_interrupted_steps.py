import os
import signal
import time
from contextlib import suppress

import pytest

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
