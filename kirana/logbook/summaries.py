"""Tells of many requests at once: which failed, put together by cause, and which were the slowest, with where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from heapq import nlargest

from kirana.logbook import entry as of
from kirana.logbook.entry import Entry
from kirana.logbook.query import Query
from kirana.logbook.reading import entries, longest
from kirana.logbook.spools import Log
from kirana.logbook.story import Story, story_of
from kirana.logbook.verdict import main_root, slowest_path, waited

AROUND = timedelta(minutes=2)
"""So far from its end at the edge the lines of one request are looked for here: events are tried again for a while."""

_FAILED = 500
_WORDS = frozenset({"failure", "edge.turned_away", "rpc.call_unreadable", "event.unreadable", "error", "critical"})
"""One of these stands in every line that :func:`failures` counts."""

_ENDED = of.OF_REQUESTS | {"edge.turned_away", "event.handled", "rpc.call_unreadable", "event.unreadable"}
_TAKES_REQUESTS = "serving"
"""Whoever passes requests on asks an edge there whether it wants any, time and again; its no is an operator's wish."""

_LABELS = ("labels.code", "labels.fault", "labels.reason", "labels.route", "labels.type", "labels.method")

Cause = tuple[str, ...]


@dataclass
class Failures:
    """Those with one cause: how many, the newest line of one, and what became of that request."""

    cause: Cause
    newest: Entry
    count: int = 0
    requests: set[str] = field(default_factory=set)
    story: Story | None = None


@dataclass(frozen=True)
class Slow:
    """A piece of work that took long; ``where`` says what took most of it."""

    line: Entry
    where: str


def failures(log: Log, query: Query, most: int) -> list[Failures]:
    """Of the time and the rest of ``query``, the ``most`` frequent ones, each with the story of its newest request."""
    found: dict[Cause, Failures] = {}
    for line in entries(log, replace(query, words=_WORDS)):
        for one in of.of_each_request(line) if _is_failure(line) else ():
            each = found.setdefault(_cause_of(one), Failures(_cause_of(one), one))
            each.newest = one
            each.count += 1
            each.requests.add(of.request_of(one) or "")
    frequent = nlargest(most, found.values(), key=lambda each: (each.count, of.stamp_of(each.newest)))
    told = stories(log, [each.newest for each in frequent])
    for each in frequent:
        each.story = told.get(of.request_of(each.newest) or "")
    return frequent


def slowest(log: Log, query: Query, most: int) -> list[Slow]:
    """The ``most`` longest requests and, where a service is named, its longest runs."""
    lines = longest(log, query, most)
    told = stories(log, lines)
    return [Slow(line, _where_of(told.get(of.request_of(line) or ""))) for line in lines]


def stories(log: Log, lines: Sequence[Entry]) -> dict[str, Story]:
    """What became of the requests to which these lines belong, by their ids."""
    ids = frozenset(id_ for id_ in map(of.request_of, lines) if id_)
    moments = [moment for moment in map(of.moment_of, lines) if moment is not None]
    if not ids or not moments:
        return {}
    by_id: dict[str, list[Entry]] = {}
    for line in entries(log, _around(ids, moments)):
        by_id.setdefault(of.request_of(line) or "", []).append(line)
    return {id_: story_of(id_, found) for id_, found in by_id.items()}


def _around(ids: frozenset[str], moments: Iterable[datetime]) -> Query:
    at = sorted(moments)
    return Query(requests=ids, since=at[0] - AROUND, until=at[-1] + AROUND)


def _is_failure(line: Entry) -> bool:
    """A request that ended badly, an event that was not handled, or an error that belongs to no request."""
    if of.action_of(line) in _ENDED:
        if of.field(line, "labels.route") == _TAKES_REQUESTS:
            return False
        status = of.field(line, "http.response.status_code")
        return status >= _FAILED if isinstance(status, int) else of.field(line, "event.outcome") != "success"
    return of.request_of(line) is None and of.rank_of(line) >= of.rank("error")


def _cause_of(line: Entry) -> Cause:
    """What failures have in common that are told of together."""
    status = of.field(line, "http.response.status_code")
    told = (of.field(line, name) for name in (*_LABELS, "error.type"))
    return (of.action_of(line), str(status or ""), *(str(part or "") for part in told))


def _where_of(story: Story | None) -> str:
    root = None if story is None else main_root(story.roots)
    if root is None:
        return ""
    at = slowest_path(root)[-1]
    wait = waited(at)
    if at is root and not at.children:
        return f"in {at.where}" if at.is_at_front else "in the edge"
    if at.took is not None and wait > at.took:
        return f"waiting for {at.where} to begin {at.name}"
    return f"{at.name} in {at.where}"
