import os
import signal
from contextlib import suppress

import pytest

from kirana.stack.steps import Steps


@pytest.fixture
def steps():
    before = signal.getsignal(signal.SIGINT)
    steps = Steps()
    steps.end_on_interrupt()
    yield steps
    signal.signal(signal.SIGINT, before)


def interrupted():
    os.kill(os.getpid(), signal.SIGINT)
    signal.pause()


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
