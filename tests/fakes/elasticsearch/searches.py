"""What Elasticsearch 9 does with points in time and searches of them, for the parts of its language that we speak.

Anything else is refused as Elasticsearch refuses what it cannot parse, so that no clause is overlooked in silence.
"""

import base64
import fnmatch
import itertools
import re
from datetime import datetime

TEXT_ERROR = "parsing_exception"
MOST_HITS = 10_000
KNOWN = {"pit", "query", "sort", "size", "search_after", "track_total_hits"}


class Refusal(Exception):
    """``status``, type and reason of an error."""


class Searches:
    """Points in time are copies: what is written later is not in them. ``shards`` are one for each stream."""

    def __init__(self, streams):
        self._streams = streams
        self._points = {}
        self._numbers = itertools.count()
        self.failed_shards = 0
        self.asked = []
        """Every body that was searched for."""

    @property
    def open_points(self):
        return len(self._points)

    def open(self, target, keep_alive):
        if not re.fullmatch(r"\d+[smh]", keep_alive):
            raise Refusal(400, "illegal_argument_exception", f"failed to parse setting [keep_alive] [{keep_alive}]")
        names = sorted(name for name in self._streams.documents if fnmatch.fnmatchcase(name, target))
        if not names and "*" not in target:
            raise Refusal(404, "index_not_found_exception", f"no such index [{target}]")
        found = [
            (name, id_, document) for name in names for id_, document in reversed(self._streams.documents[name].items())
        ]
        point = base64.urlsafe_b64encode(b"%016d" % next(self._numbers)).decode()
        self._points[point] = (len(names), found)
        return {"id": point, "_shards": self._shards(len(names))}

    def close(self, body):
        is_known = self._points.pop(body["id"], None) is not None
        return {"succeeded": is_known, "num_freed": int(is_known)}

    def search(self, body):
        self.asked.append(body)
        if unknown := set(body) - KNOWN:
            raise Refusal(400, TEXT_ERROR, f"unknown key {sorted(unknown)} in the search source")
        if body["size"] > MOST_HITS:
            raise Refusal(400, "illegal_argument_exception", "Result window is too large")
        point = body["pit"]["id"]
        if point not in self._points:
            raise Refusal(404, "search_context_missing_exception", f"No search context found for id [{point}]")
        shards, documents = self._points[point]
        hits = [
            {
                "_index": _behind(name),
                "_id": id_,
                "_score": None,
                "_source": document,
                "sort": _sort(body, document, at),
            }
            for at, (name, id_, document) in enumerate(documents)
            if matches(body["query"], document)
        ]
        hits.sort(key=lambda hit: _place(body, hit["sort"]))
        if "search_after" in body:
            after = _place(body, body["search_after"])
            hits = [hit for hit in hits if _place(body, hit["sort"]) > after]
        return {
            "pit_id": point,
            "took": 3,
            "timed_out": False,
            "_shards": self._shards(shards),
            "hits": {"max_score": None, "hits": hits[: body["size"]]},
        }

    def _shards(self, total):
        failed = min(self.failed_shards, total)
        return {"total": total, "successful": total - failed, "skipped": 0, "failed": failed}


def matches(query, document):
    """Whether it does, with the fields mapped as ``logging/elasticsearch/fields.json`` maps them."""
    ((kind, told),) = query.items()
    if kind == "bool":
        return _bool(told, document)
    if kind == "exists":
        return bool(_values(document, told["field"]))
    ((field, wanted),) = told.items()
    if kind not in KINDS:
        raise Refusal(400, TEXT_ERROR, f"unknown query [{kind}]")
    return any(KINDS[kind](value, wanted, field) for value in _values(document, field))


def _bool(told, document):
    if unknown := set(told) - {"filter", "must_not", "should", "minimum_should_match"}:
        raise Refusal(400, TEXT_ERROR, f"[bool] query does not support {sorted(unknown)}")
    return (
        all(matches(each, document) for each in told.get("filter", ()))
        and not any(matches(each, document) for each in told.get("must_not", ()))
        and sum(matches(each, document) for each in told.get("should", ())) >= told.get("minimum_should_match", 0)
    )


def _values(document, field):
    at = document
    for part in field.split("."):
        at = at.get(part) if isinstance(at, dict) else None
    return at if isinstance(at, list) else [] if at is None else [at]


KINDS = {
    "term": lambda value, wanted, _: value == wanted["value"],
    "terms": lambda value, wanted, _: value in wanted,
    "prefix": lambda value, wanted, _: value.startswith(wanted["value"]),
    "wildcard": lambda value, wanted, _: re.fullmatch(_pattern(wanted["value"]), value, re.DOTALL),
    "range": lambda value, wanted, field: _within(field, value, wanted),
}
"""Of one value of a field."""


def _pattern(text):
    """Of a wildcard: ``*`` and ``?`` mean something unless a backslash stands before them."""
    parts = re.findall(r"\\.|\*|\?|[^\\*?]+", text, re.DOTALL)
    return "".join({"*": ".*", "?": "."}.get(part, re.escape(part[1:] if part[0] == "\\" else part)) for part in parts)


def _within(field, value, bounds):
    if unknown := set(bounds) - {"gte", "lte"}:
        raise Refusal(400, TEXT_ERROR, f"[range] query does not support {sorted(unknown)}")
    read = _milliseconds if field == "@timestamp" else int
    return ("gte" not in bounds or read(value) >= read(bounds["gte"])) and (
        "lte" not in bounds or read(value) <= read(bounds["lte"])
    )


def _milliseconds(text):
    """A ``date`` knows no more."""
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def _sort(body, document, place):
    """The sort's values, and the one that Elasticsearch adds to that of a point in time."""
    values = []
    for each in body["sort"]:
        ((field, _),) = each.items()
        (value,) = _values(document, field)
        values.append(_milliseconds(value) if field == "@timestamp" else value)
    return [*values, place]


def _place(body, values):
    orders = [next(iter(each.values()))["order"] for each in body["sort"]] + ["asc"]
    return [value if order == "asc" else -value for value, order in zip(values, orders, strict=True)]


def _behind(stream):
    return f".ds-{stream}-2026.11.21-000001"
