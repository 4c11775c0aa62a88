"""A caller's clock that is ahead is told of, and rarely; one that is behind looks like a call that waited."""

import time

import pytest
from structlog.testing import capture_logs

from shared.messaging.call import Call
from shared.nameko_ext.clocks import Clocks
from shared.nameko_ext.serving import Job

SECOND = 1_000_000_000


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize(("ahead", "lines"), [(-60, 0), (0, 0), (1.9, 0), (2.1, 1), (3600, 1)])
def test_only_what_was_sent_well_after_it_came_says_something_of_clocks(ahead, lines):
    with capture_logs() as told:
        Clocks().compare("shop.sell", sent_ns=int(ahead * SECOND), came_ns=0)

    assert len(told) == lines


def test_it_is_told_once_a_minute_at_most():
    clock = Clock()
    clocks = Clocks(clock)

    with capture_logs() as told:
        for clock.now in (0.0, 1.0, 59.9, 60.0, 61.0):
            clocks.compare("shop.sell", sent_ns=5 * SECOND, came_ns=0)

    assert [(line["event"], line["ahead_seconds"]) for line in told] == [("rpc.clocks_differ", 5.0)] * 2


class Source:
    key = ()


@pytest.mark.parametrize(("ahead", "lines"), [(-5, 1), (-8, 0)])
def test_a_call_that_is_served_is_compared_by_when_it_came_not_by_when_it_runs(ahead, lines, monkeypatch):
    monkeypatch.setattr("shared.nameko_ext.serving._clocks", Clocks())
    call = Call(request_id="r", method="shop.sell", sent_at_ms=time.time_ns() // 1_000_000 + ahead * 1000)
    job = Job(None, None, Source(), call, None)
    # it came nine seconds before it runs, and says that it was sent after that
    started_ns = time.perf_counter_ns() + 9 * SECOND

    with capture_logs() as told:
        queued = job._queued_ns(call, started_ns)

    assert len(told) == lines
    assert queued >= 9 * SECOND
