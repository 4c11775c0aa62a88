"""Reads the log spools of all processes as one book, in the order of time."""

from __future__ import annotations

import heapq
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

Entry = dict[str, Any]

LEVELS = ("debug", "info", "warning", "error", "critical")
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Query:
    """Which lines are wanted. ``None`` means any; ``level`` is the least one."""

    request: str | None = None
    service: str | None = None
    level: str | None = None
    since: datetime | None = None

    def wants(self, entry: Entry) -> bool:
        """Whether ``entry`` is one of them."""
        return (
            (self.request is None or field(entry, "http.request.id") == self.request)
            and (self.service is None or self.service in {field(entry, "service.name"), instance_of(entry)})
            and (self.level is None or _rank(field(entry, "log.level")) >= _rank(self.level))
            and (self.since is None or str(entry.get("@timestamp", "")) >= self.since.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
        )


def field(entry: Entry, name: str) -> Any:
    """The value of a dotted field, or ``None``."""
    at: Any = entry
    for part in name.split("."):
        at = at.get(part) if isinstance(at, dict) else None
    return at


def instance_of(entry: Entry) -> str:
    """Which process wrote the line."""
    return str(field(entry, "service.node.name") or field(entry, "service.name") or "?")


def _rank(level: Any) -> int:
    return LEVELS.index(level) if level in LEVELS else 1


def parse_ago(text: str) -> timedelta:
    """Read ``90s``, ``5m``, ``2h`` or ``1d``. Raises ``ValueError``."""
    units = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
    number, unit = text[:-1], text[-1:]
    if unit not in units or not number.isdigit():
        raise ValueError("a duration such as 90s, 5m, 2h or 1d is expected.")
    return timedelta(**{units[unit]: int(number)})


def entries(spool: Path, query: Query) -> Iterator[Entry]:
    """All wanted lines of all processes, oldest first."""
    needle = query.request.encode() if query.request else b""
    books = [
        _entries_of(path, query, needle)
        for path in sorted(spool.glob("*.jsonl"))
        if query.since is None or datetime.fromtimestamp(path.stat().st_mtime, UTC) >= query.since
    ]
    return heapq.merge(*books, key=lambda entry: str(entry.get("@timestamp", "")))


def _entries_of(path: Path, query: Query, needle: bytes) -> Iterator[Entry]:
    with path.open("rb") as lines:
        for line in lines:
            if needle in line:
                entry = _parsed(line)
                if entry is not None and query.wants(entry):
                    yield entry


def _parsed(line: bytes) -> Entry | None:
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError:  # the half of a line that was being written when its process was killed
        return None
    return entry if isinstance(entry, dict) else None


def follow(spool: Path, query: Query, pause: Callable[[float], None] = time.sleep) -> Iterator[list[Entry]]:
    """From now on: the wanted lines as they come, of processes that start later too. Never ends by itself."""
    places = {_identity(found): found.st_size for found in (path.stat() for path in spool.glob("*.jsonl"))}
    while True:
        fresh: list[Entry] = []
        for path in spool.glob("*.jsonl"):
            with suppress(FileNotFoundError):  # a full file was just moved away
                fresh += _read_on(path, query, places)
        yield sorted(fresh, key=lambda entry: str(entry.get("@timestamp", "")))
        pause(_POLL_SECONDS)


def _identity(found: os.stat_result) -> tuple[int, int]:
    """A file stays itself when it gets another name."""
    return found.st_dev, found.st_ino


def _read_on(path: Path, query: Query, places: dict[tuple[int, int], int]) -> list[Entry]:
    with path.open("rb") as file:
        found = os.fstat(file.fileno())
        place = places.get(_identity(found), 0)
        file.seek(place if found.st_size >= place else 0)  # it was emptied, or is another one in its place
        begun = file.tell()
        read = file.read()
    whole = read[: read.rfind(b"\n") + 1]
    places[_identity(found)] = begun + len(whole)
    entries_read = [_parsed(line) for line in whole.splitlines()]
    return [entry for entry in entries_read if entry is not None and query.wants(entry)]
