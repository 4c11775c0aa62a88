"""``kirana logs --errors`` and ``--slow``: where to begin when something is wrong, but not with which request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rich.table import Table
from rich.text import Text

from kirana.commands.logs_output import console_of, say, write_json
from kirana.commands.typed import as_typed
from kirana.logbook import entry as of
from kirana.logbook.entry import Entry
from kirana.logbook.query import Query
from kirana.logbook.spools import Log
from kirana.logbook.summaries import Failures, Slow, failures, slowest
from kirana.logbook.times import shown

_TIME = slice(11, 19)


def show_failures(log: Log, query: Query, most: int, *, as_json: bool, command: str) -> bool:
    """By cause, the most frequent first; ``command`` is what tells more of one, but for its id. Whether any has."""
    found = failures(log, query, most)
    if as_json:
        for each in found:
            write_json(_document_of(each))
    if as_json or not found:
        return bool(found)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("times", "last", "what", "told", "why", "where", "newest request"):
        table.add_column(name, justify="right" if name == "times" else "left", no_wrap=name == "newest request")
    for each in found:
        row = _document_of(each)
        table.add_row(
            str(each.count),
            str(row["last"])[_TIME],
            row["what"],
            row["told"],
            Text(row["why"], style="red"),
            row["where"],
            row["request"] or "",
        )
    console_of(is_table=True).print(table)
    if any(row.story for row in found):
        say("", as_typed(f"More of one: {command} ID"))
    return True


def show_slowest(log: Log, query: Query, most: int, *, as_json: bool) -> bool:
    """The slowest requests first; runs and events of a service where ``--service`` names one. Whether there are any."""
    found = slowest(log, query if query.service else replace(query, actions=of.OF_REQUESTS), most)
    if as_json:
        for each in found:
            write_json({**_slow_document_of(each), "took_ms": _milliseconds(each.line)})
    if as_json or not found:
        return bool(found)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("took", "ended", "what", "told", "most of it", "request"):
        table.add_column(name, justify="right" if name == "took" else "left", no_wrap=name == "request")
    for each in found:
        row = _slow_document_of(each)
        took = of.duration_of(each.line)
        table.add_row(
            shown(took) if took is not None else "",
            str(row["ended"])[_TIME],
            row["what"],
            row["told"],
            row["where"],
            row["request"] or "",
        )
    console_of(is_table=True).print(table)
    return True


def _document_of(each: Failures) -> dict[str, Any]:
    verdict = None if each.story is None else each.story.verdict
    culprit = None if verdict is None else verdict.culprit
    own = of.field(each.newest, "labels.reason") or of.field(each.newest, "error.message") or ""
    return {
        "count": each.count,
        "last": of.stamp_of(each.newest),
        "what": _what(each.newest),
        "told": _told(each.newest),
        "why": (verdict.reason if verdict is not None and culprit is not None else "") or str(own),
        "where": f"{culprit.where} {culprit.name}" if culprit is not None else of.instance_of(each.newest),
        "request": of.request_of(each.newest),
    }


def _slow_document_of(each: Slow) -> dict[str, Any]:
    return {
        "ended": of.stamp_of(each.line),
        "what": _what(each.line),
        "told": _told(each.line),
        "where": each.where,
        "request": of.request_of(each.line),
    }


def _milliseconds(line: Entry) -> float:
    took = of.duration_of(line)
    return 0.0 if took is None else round(took.total_seconds() * 1000, 3)


def _what(line: Entry) -> str:
    """The route rather than the path, so that those of one cause look alike."""
    route = of.field(line, "labels.route")
    if route:
        return f"{of.field(line, 'http.request.method')} {route}"
    named = of.field(line, "labels.method") or of.field(line, "labels.type")
    return str(named or of.action_of(line))


def _told(line: Entry) -> str:
    code = of.field(line, "labels.code") or of.field(line, "labels.fault")
    parts = (of.field(line, "http.response.status_code"), code)
    return " ".join(str(part) for part in parts if part)
