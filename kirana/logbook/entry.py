"""One line of the log as it was written, and how its fields are read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import orjson

Entry = dict[str, Any]

LEVELS = ("debug", "info", "warning", "error", "critical")
_INFO = LEVELS.index("info")

AT_FRONT = "front.answered"
"""nginx, which stands before the edges, answered a request itself: ``docker/nginx/spooled.conf``."""

OF_REQUESTS = frozenset({"http.request", AT_FRONT})
"""The last lines of requests."""


def parsed(line: bytes) -> Entry | None:
    """The line's fields; ``None`` for the half of one that was being written when its process was killed."""
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return entry if isinstance(entry, dict) else None


def of_each_request(entry: Entry) -> Iterator[Entry]:
    """The line as that of each request of which it tells: those that were turned away in one moment share one."""
    ids = field(entry, "http.request.id")
    if not isinstance(ids, list):
        yield entry
        return
    for id_ in ids:
        yield {**entry, "http": {**entry["http"], "request": {**entry["http"]["request"], "id": id_}}}


def field(entry: Entry, name: str) -> Any:
    """The value of a dotted field, or ``None``."""
    at: Any = entry
    for part in name.split("."):
        at = at.get(part) if isinstance(at, dict) else None
    return at


def instance_of(entry: Entry) -> str:
    """Which process wrote the line."""
    return str(field(entry, "service.node.name") or field(entry, "service.name") or "?")


def action_of(entry: Entry) -> str:
    """What the line is called: a dotted name of ours, or a library's sentence."""
    return str(field(entry, "event.action") or entry.get("message", ""))


def request_of(entry: Entry) -> str | None:
    """The id of the request that the line belongs to."""
    found = field(entry, "http.request.id")
    return found if isinstance(found, str) else None


def rank(level: Any) -> int:
    """How bad a level is; what is no level counts as ``info``."""
    return LEVELS.index(level) if level in LEVELS else _INFO


def rank_of(entry: Entry) -> int:
    """How bad the line is."""
    return rank(field(entry, "log.level"))


def stamp_of(entry: Entry) -> str:
    """The moment as it was written, by which lines are put in order."""
    return str(entry.get("@timestamp", ""))


def moment_of(entry: Entry) -> datetime | None:
    """When the line was written."""
    try:
        return datetime.fromisoformat(stamp_of(entry))
    except ValueError:
        return None


def duration_of(entry: Entry) -> timedelta | None:
    """How long the work took that the line ends."""
    nanoseconds = field(entry, "event.duration")
    return timedelta(microseconds=nanoseconds / 1000) if isinstance(nanoseconds, int) else None
