"""Counts what happens while it happens, at a fraction of a microsecond: what is counted is bound before it occurs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry, ProcessCollector

from shared.contracts.events import EVENT_TYPES
from shared.metrics import families
from shared.metrics.facts import Build, ConsulLink
from shared.metrics.families import Family
from shared.metrics.instruments import Counter, Histogram
from shared.metrics.outcomes import OUTCOMES

NONE: Final = "none"
"""The label of what there may be none of, so that the metric is there all the same."""

OTHER: Final = "other"
"""The label of what no contract knows."""

UNKNOWN_METHOD: Final = (OTHER, OTHER)

SERVICES: Final = ("identity", "catalog", "cart", "order", "notification")
METHODS: Final = frozenset(
    (service, method.name) for service in SERVICES for method in import_module(f"shared.contracts.{service}").METHODS
)
EVENTS: Final = frozenset(event.name for event in EVENT_TYPES)
FATES: Final = ("handled", "put_off", "parked", "requeued")
"""What becomes of an event that a handler has taken up."""

registry: Final = CollectorRegistry()
ProcessCollector(registry=registry)
registry.register(Build())

consul: Final = ConsulLink()
"""``consul.hears = True`` after each sign of life that it took."""

registry.register(consul)


def _counter(family: Family) -> Counter:
    return Counter(family, registry)


def _histogram(family: Family) -> Histogram:
    return Histogram(family, registry)


_calls = _counter(families.CALLS)
_call_seconds = _histogram(families.CALL_SECONDS)
_queue_seconds = _histogram(families.QUEUE_SECONDS)
_run_seconds = _histogram(families.RUN_SECONDS)
_redeliveries = _counter(families.REDELIVERIES)
_parked = _counter(families.PARKED)
_handled = _counter(families.EVENTS_HANDLED)
_published = _counter(families.EVENTS_PUBLISHED)

_token_verdicts = _counter(families.TOKEN_VERDICTS)
_key_fetches = _counter(families.KEY_FETCHES)
_parts = _counter(families.PARTS)
_plugin_failures = _counter(families.PLUGIN_FAILURES)
_plugin_failures.labels(NONE)

_logins = _counter(families.LOGINS)
_spans = _counter(families.SPANS)

logins: Final = {outcome: _logins.labels(outcome).inc for outcome in ("admitted", "refused", "throttled", "shed")}
"""``logins[outcome]()``: ``shed`` found no room to be hashed."""

token_verdicts: Final = {
    source: _token_verdicts.labels(source).inc for source in ("local", "shared", "judged", "refused", "forged")
}
"""``token_verdicts[source]()``: ``forged`` is a shared verdict that no edge of ours sealed."""

key_fetches: Final = {outcome: _key_fetches.labels(outcome).inc for outcome in ("fetched", "failed")}
"""``key_fetches[outcome]()``."""

spans_told: Final = {outcome: _spans.labels(outcome).inc for outcome in ("recorded", "exported", "lost")}
"""``spans_told[outcome](count)``: what is neither exported nor lost waits, or had to go for want of room."""


class Calling:
    """The calls of one method, as their caller counts them."""

    def __init__(self, service: str, method: str) -> None:
        self._count = {outcome: _calls.labels(service, method, outcome).inc for outcome in OUTCOMES}
        self._observe = _call_seconds.labels(service, method).observe

    def ended(self, outcome: str, seconds: float) -> None:
        """One call is over."""
        self._count[outcome]()
        self._observe(seconds)


class Running:
    """The calls of one method, as the service that runs them counts them."""

    def __init__(self, service: str, method: str) -> None:
        self._labels = (service, method)
        self._observe: dict[str, Callable[[float], None]] = {}
        self._queued = _queue_seconds.labels(service, method).observe

    def queued(self, seconds: float) -> None:
        """One call was picked up; two machines' clocks may disagree a little."""
        self._queued(max(0.0, seconds))

    def ended(self, outcome: str, seconds: float) -> None:
        """One call was answered."""
        observe = self._observe.get(outcome)
        if observe is None:
            observe = self._observe[outcome] = _run_seconds.labels(*self._labels, outcome).observe
        observe(seconds)


Meter = TypeVar("Meter")


class _ByMethod(dict[tuple[str, str], Meter]):
    """Made at the first call of a method; what no contract knows shares one, so that nobody can fill the memory."""

    def __init__(self, make: Callable[[str, str], Meter]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: tuple[str, str]) -> Meter:
        if key not in METHODS and key != UNKNOWN_METHOD:
            return self[UNKNOWN_METHOD]
        self[key] = meter = self._make(*key)
        return meter


calling: Final = _ByMethod(Calling)
"""``calling[service, method]``."""

running: Final = _ByMethod(Running)
"""``running[service, method]``."""


def redeliveries_of(service: str) -> Callable[[], None]:
    """Counts a request or an event that came a second time. Bind it early: an alarm must see the step from 0 to 1."""
    return _redeliveries.labels(service).inc


def parked_from(service: str, origin: str) -> Callable[[], None]:
    """Counts a message that the service puts aside. Bind it early: an alarm must see the step from 0 to 1."""
    return _parked.labels(service, origin).inc


def parts_of(route: str, part: str, outcomes: Iterable[str]) -> dict[str, Callable[[], None]]:
    """Counts what becomes of a part of an aggregate, by outcome. Both names are the route table's."""
    return {outcome: _parts.labels(route, part, outcome).inc for outcome in outcomes}


def failures_of(plugin: str) -> Callable[[], None]:
    """Counts requests that a plugin failed at; its name is the route table's."""
    return _plugin_failures.labels(plugin).inc


def handled(event_type: str) -> dict[str, Callable[[], None]]:
    """Counts what becomes of events of this type, by fate."""
    return {fate: _handled.labels(_event(event_type), fate).inc for fate in FATES}


def published(event_type: str) -> None:
    """The broker has confirmed one event."""
    _published.labels(_event(event_type)).inc()


def _event(name: str) -> str:
    return name if name in EVENTS else OTHER
