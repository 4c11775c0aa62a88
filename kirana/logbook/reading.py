"""Reads the log of all processes as one book, in the order of time: their spools, or what an archive has of them."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path

from kirana.logbook.entry import Entry, duration_of, parsed, stamp_of
from kirana.logbook.query import Query
from kirana.logbook.scanning import wanted_entries
from kirana.logbook.spools import Archive, Log, Spool


def entries(log: Log, query: Query) -> Iterator[Entry]:
    """All wanted lines of all processes, oldest first. A full file that was moved away is read before the new one."""
    if isinstance(log, Archive):
        return log.found(query)
    return heapq.merge(*(_of_file(path, query) for path in files(log) if _may_have(path, query)), key=stamp_of)


def longest(log: Log, query: Query, most: int) -> list[Entry]:
    """The ``most`` wanted lines that end the longest work, these first."""
    if isinstance(log, Archive):
        return list(log.found(query, longest=most))
    timed = ((duration_of(line), line) for line in entries(log, query))
    known = ((took, line) for took, line in timed if took is not None)
    return [line for _, line in heapq.nlargest(most, known, key=itemgetter(0))]


def files(spool: Spool) -> list[Path]:
    """Every process's, those that were moved away when they were full included."""
    return sorted(spool.glob("*.jsonl"))


def first_moment(log: Log) -> str | None:
    """The oldest line that is still there, as its moment stands in it."""
    if isinstance(log, Archive):
        return log.first_moment()
    oldest = []
    for path in files(log):
        with suppress(FileNotFoundError), path.open("rb") as file:
            entry = parsed(file.readline())
            if entry is not None:
                oldest.append(stamp_of(entry))
    return min(oldest, default=None)


def _of_file(path: Path, query: Query) -> Iterator[Entry]:
    with suppress(FileNotFoundError):  # it was moved away, or given up for good, just now
        yield from wanted_entries(path, query)


def _may_have(path: Path, query: Query) -> bool:
    if query.since is None:
        return True
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC) >= query.since
    except FileNotFoundError:
        return False
