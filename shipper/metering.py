"""Tells what the shipper does: its metrics by name, and how each is counted."""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import product
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics

from shared.metrics.facts import Build
from shared.metrics.families import Family
from shared.metrics.rendering import rendered
from shipper.front import FAULTS, ROUTES
from shipper.places import DEAD
from shipper.verdicts import WORDS

REASONS: Final = ("disk_bound", "no_shipper", "killed", "dead_letters_full", "dead_letters_unwritten")
"""Why lines are dropped; ``killed``: a shipper, with lines under way whose file had been given up."""

RECORDS = Family("kirana_shipper_records_total", "counter", ("outcome",), "Log lines, by what became of them.")
DROPPED_LINES = Family("kirana_shipper_dropped_total", "counter", ("reason",), "Log lines that are lost, by why.")
AGAIN = Family(
    "kirana_shipper_retries_total", "counter", ("reason",), "Times a line was put off and sent again, by why."
)
REQUEST_SECONDS = Family(
    "kirana_shipper_request_seconds",
    "histogram",
    (),
    "From a bulk request to its answer.",
    (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
BACKLOG = Family("kirana_shipper_backlog_bytes", "gauge", (), "Bytes of log lines that are not settled yet.")
HELD = Family("kirana_shipper_held_bytes", "gauge", (), "Bytes of full files that are kept until they are settled.")
OLDEST = Family("kirana_shipper_oldest_seconds", "gauge", (), "Age of the oldest log line that is not settled yet.")
SUCCESS = Family(
    "kirana_shipper_last_success_seconds", "gauge", (), "When a line was last delivered, in seconds of the epoch."
)
IN_FLIGHT = Family(
    "kirana_shipper_in_flight", "gauge", (), "Bulk requests under way now, waits between tries included."
)
FRONT_ANSWERED = Family(
    "kirana_front_answered_total", "counter", ("route", "status"), "Requests that nginx answered itself."
)
FAMILIES: Final = (
    RECORDS,
    DROPPED_LINES,
    AGAIN,
    REQUEST_SECONDS,
    BACKLOG,
    HELD,
    OLDEST,
    SUCCESS,
    IN_FLIGHT,
    FRONT_ANSWERED,
)


class Meters:
    """The shipper's own registry. Every series is there from the start, so that an alarm sees the step from 0 to 1.

    What was lost before a shipper ran is counted before anybody can ask it: for that the alarm compares the count with
    the process's age, so counts begin at 0 with each process and none is carried over.
    """

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # as everywhere: a scraper knows
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(Build())
        self._records = self._counter(RECORDS, ("delivered", "repeated", DEAD))
        self._dropped = self._counter(DROPPED_LINES, REASONS)
        self._again = self._counter(AGAIN, WORDS)
        self._front_answered = self._counter(FRONT_ANSWERED, ROUTES, FAULTS)
        seconds = REQUEST_SECONDS
        self._seconds = Histogram(seconds.name, seconds.meaning, buckets=seconds.buckets, registry=self._registry)
        self._backlog, self._held, self._oldest, self._success, self._in_flight = (
            Gauge(family.name, family.meaning, registry=self._registry)
            for family in (BACKLOG, HELD, OLDEST, SUCCESS, IN_FLIGHT)
        )

    def request_seconds(self, seconds: float) -> None:
        """A request was answered."""
        self._seconds.observe(seconds)

    def again(self, word: str, records: int) -> None:
        """Records are sent again."""
        self._again.labels(word).inc(records)

    def succeeded(self) -> None:
        """Something was delivered now."""
        self._success.set(time.time())

    def settled(self, outcome: str, records: int = 1) -> None:
        """Records have their verdict."""
        self._records.labels(outcome).inc(records)

    def dropped(self, reason: str, lines: int) -> None:
        """Lines are lost."""
        self._dropped.labels(reason).inc(lines)

    def front_answered(self, route: str, status: str, requests: int) -> None:
        """So many were answered by nginx itself."""
        self._front_answered.labels(route, status).inc(requests)

    def stands(self, *, backlog: int, held: int, oldest: float, in_flight: int) -> None:
        """How much waits now, in bytes; ``oldest`` in seconds."""
        self._backlog.set(backlog)
        self._held.set(held)
        self._oldest.set(oldest)
        self._in_flight.set(in_flight)

    def rendered(self) -> Iterable[str]:
        """As Prometheus reads it."""
        return rendered([self._registry])

    def _counter(self, family: Family, *words: Iterable[str]) -> Counter:
        counter = Counter(family.name, family.meaning, family.labels, registry=self._registry)
        for series in product(*words):
            counter.labels(*series)
        return counter
