"""Puts a query in Elasticsearch's words: it finds every wanted line, and as few others as its fields allow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Final

from kirana.logbook.entry import LEVELS, rank
from kirana.logbook.query import SHORTEST_USER, Query
from kirana.logbook.times import stamp

PAGE: Final = 1_000
"""Lines of one answer: about 2 MB. Elasticsearch gives 10,000 at most."""

KEPT: Final = "2m"
"""So long after each answer the state is kept of which the next one tells."""

_ID, _ACTION, _TOOK = "http.request.id", "event.action", "event.duration"
_OLDEST_FIRST = [{"@timestamp": {"order": "asc"}}]
_LONGEST_FIRST = [{_TOOK: {"order": "desc", "unmapped_type": "long"}}, *_OLDEST_FIRST]
_OF_WORDS = (_ACTION, "event.outcome", "log.level")
_MEANING = re.compile(r"([*?\\])")

Clause = dict[str, Any]


def search(
    query: Query, point: str, *, is_by_length: bool = False, size: int = PAGE, after: Sequence[Any] | None = None
) -> dict[str, Any]:
    """One page of the point in time ``point``, the first or the one ``after``; the longest work first, or the oldest.

    ``after`` is the ``sort`` of the last line of the page before.
    """
    took: list[Clause] = [{"exists": {"field": _TOOK}}] if is_by_length else []
    asked = {
        "pit": {"id": point, "keep_alive": KEPT},
        "query": {"bool": {"filter": [*_whose(query), *_of_what(query), *_of_times(query), *took]}},
        "sort": _LONGEST_FIRST if is_by_length else _OLDEST_FIRST,
        "size": min(size, PAGE),
        "track_total_hits": False,
    }
    return asked if after is None else asked | {"search_after": list(after)}


def _whose(query: Query) -> Iterator[Clause]:
    if query.request:
        yield _is(_ID, query.request)
    if query.part:
        yield {"wildcard": {_ID: {"value": "*" + _MEANING.sub(r"\\\1", query.part) + "*"}}}
    if query.requests:
        yield _is_one(_ID, query.requests)
    if query.trace:
        yield _is("trace.id", query.trace)
    if query.service:
        yield _any(_is("service.name", query.service), _is("service.node.name", query.service))
    if query.user:
        begins = [{"prefix": {"user.id": {"value": query.user}}}] if len(query.user) >= SHORTEST_USER else []
        yield _any(_is("user.id", query.user), *begins)


def _of_what(query: Query) -> Iterator[Clause]:
    if query.actions:
        yield _is_one(_ACTION, query.actions)
    if query.words:
        yield _any(*(_is_one(field, query.words) for field in _OF_WORDS))
    if query.common:
        yield _any({"bool": {"must_not": [{"exists": {"field": _ID}}]}}, _is_one(_ACTION, query.common))
    if query.route:
        yield _any(_is("labels.route", query.route), _is("labels.method", query.route))
    if query.level:
        yield {
            "bool": {"must_not": [_is_one("log.level", [each for each in LEVELS if rank(each) < rank(query.level)])]}
        }
    if query.status:
        yield _has_status(query.status)


def _of_times(query: Query) -> Iterator[Clause]:
    bounds = {"gte": query.since, "lte": query.until}
    known = {name: stamp(moment) for name, moment in bounds.items() if moment is not None}
    if known:
        yield {"range": {"@timestamp": known}}
    if query.slower is not None:
        yield {"range": {_TOOK: {"gte": query.slower // timedelta(microseconds=1) * 1_000}}}


def _has_status(wanted: str) -> Clause:
    least = int(wanted[0]) * 100 if wanted.lower().endswith("xx") else int(wanted)
    most = least + 99 if wanted.lower().endswith("xx") else least
    return {"range": {"http.response.status_code": {"gte": least, "lte": most}}}


def _is(field: str, value: str) -> Clause:
    return {"term": {field: {"value": value}}}


def _is_one(field: str, values: Sequence[str] | frozenset[str]) -> Clause:
    return {"terms": {field: sorted(values)}}


def _any(*clauses: Clause) -> Clause:
    return {"bool": {"should": list(clauses), "minimum_should_match": 1}}
