from types import SimpleNamespace

import eventlet
import pytest

from shared.nameko_ext.container import WORK_PER_TURN, ServiceContainer, Work
from shared.nameko_ext.ticker import Tick

ENTRYPOINT = SimpleNamespace(method_name="work")


def yield_twice():
    eventlet.sleep(0)
    eventlet.sleep(0)


class Asked(Work):
    """A call that goes on until it is let go."""

    def __init__(self, fault=None):
        self._may_end = eventlet.event.Event()
        self._fault = fault

    def run(self, *_):
        self._may_end.wait()
        if self._fault:
            raise self._fault

    def end(self):
        self._may_end.send(None)
        yield_twice()


class Clock(Tick):
    """A tick that nobody ever ends."""

    def run(self, *_):
        eventlet.sleep(3600)


@pytest.fixture
def container():
    started = ServiceContainer(type("Service", (), {"name": "shop"}))
    yield started
    started._kill_worker_threads()


def test_what_was_asked_for_is_unfinished_from_its_arrival_to_its_end_however_it_ends(container):
    works = [Asked(), Asked(ValueError("no")), Asked()]
    for work in works:
        container.admit(ENTRYPOINT, work)
    arrived = container.unfinished
    yield_twice()
    counts = [container.unfinished]
    for work in works:
        work.end()
        counts.append(container.unfinished)

    assert (arrived, counts) == (3, [3, 2, 1, 0])


def test_a_clock_is_never_waited_for(container):
    container.admit(ENTRYPOINT, Clock("shop.tick"))
    yield_twice()

    assert (container.running, container.unfinished) == (1, 0)


class Quick(Work):
    """A call that waits for nothing; it notes how many are at work while it runs."""

    def __init__(self, container, seen):
        self._container = container
        self._seen = seen

    def run(self, *_):
        self._seen.append(self._container.running)


def test_what_waits_for_nothing_is_done_by_one_worker_though_that_lets_others_run_now_and_then(container):
    seen = []
    for _ in range(3 * WORK_PER_TURN):
        container.admit(ENTRYPOINT, Quick(container, seen))
    for _ in range(8):
        yield_twice()

    assert (len(seen), set(seen)) == (3 * WORK_PER_TURN, {1})
