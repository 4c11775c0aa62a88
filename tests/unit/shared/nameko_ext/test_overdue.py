"""Work that waits for ever is stopped, in its own greenlet and in no other."""

import eventlet
import pytest

from shared.nameko_ext.overdue import Overdue, WorkTimedOut


def outcome_of(overdue, seconds, work):
    try:
        with overdue.stopping(seconds):
            return work()
    except WorkTimedOut:
        return "stopped"


def test_work_is_stopped_after_its_time_and_no_other_is():
    overdue = Overdue()
    stuck = eventlet.spawn(outcome_of, overdue, 0.1, lambda: eventlet.sleep(60))
    patient = eventlet.spawn(outcome_of, overdue, 60, lambda: eventlet.sleep(0.5) or "done")

    assert stuck.wait() == "stopped"
    assert patient.wait() == "done"
    assert len(overdue) == 0


def test_what_is_done_in_time_is_not_stopped_in_whatever_its_greenlet_does_next():
    overdue = Overdue()

    def twice():
        with overdue.stopping(0.05):
            pass
        eventlet.sleep(0.4)
        return "done"

    assert eventlet.spawn(twice).wait() == "done"


def test_work_that_swallows_the_news_is_told_again():
    overdue = Overdue()
    told = []

    def stubborn():
        while len(told) < 3:
            try:
                eventlet.sleep(60)
            except WorkTimedOut:
                told.append(1)
        return "done"

    with eventlet.Timeout(5):
        assert eventlet.spawn(outcome_of, overdue, 0.05, stubborn).wait() == "done"


def test_nobody_looks_while_nothing_runs():
    overdue = Overdue()
    with overdue.stopping(60):
        pass
    eventlet.sleep(0.3)

    assert not overdue._is_looking


def test_a_fault_of_the_work_is_its_own():
    with pytest.raises(ZeroDivisionError), Overdue().stopping(60):
        raise ZeroDivisionError
