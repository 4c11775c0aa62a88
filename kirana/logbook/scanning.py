"""Finds the few wanted lines of a large file by their bytes; only those are parsed.

A spool of 1 GB is looked through in about a second for a request's id (``benchmarks/logbook.py``): the search runs in
the C library over the mapped file, and a line costs nothing unless it has what is looked for.
"""

from __future__ import annotations

import heapq
import mmap
import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from kirana.logbook.entry import Entry, of_each_request, parsed, stamp_of
from kirana.logbook.query import Query, text_in
from kirana.logbook.times import stamp

SLACK = timedelta(seconds=10)
"""Lines of one process stand nearly in the order of time: not quite, as several threads write, and clocks are set."""

_STAMP = re.compile(rb'\{"@timestamp": ?"([^"]+)"')
_NEAR = 1 << 16
"""Bytes within which a bisection ends: a step more would cost as much as reading them."""


def wanted_entries(path: Path, query: Query) -> Iterator[Entry]:
    """Those of one file, in the order in which they stand there."""
    for line in _candidates(path, query):
        yield from wanted_in(line, query)


def wanted_in(line: bytes, query: Query) -> Iterator[Entry]:
    """What a line tells of what is wanted: itself, or, where it tells of several requests, it for each wanted one."""
    entry = parsed(line) if text_in(query, line) else None
    if entry is not None:
        yield from filter(query.wants, of_each_request(entry) if query.names_requests else (entry,))


def _candidates(path: Path, query: Query) -> Iterator[bytes]:
    with path.open("rb") as file:
        try:
            held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:  # an empty file cannot be mapped
            return
        with held:
            begin = _bounds_of(held, query.since - SLACK, doubtful_is_late=True)[0] if query.since else 0
            end = _bounds_of(held, query.until + SLACK, doubtful_is_late=False)[1] if query.until else len(held)
            yield from lines_with(held, query.needles(), begin, end)


def lines_with(held: mmap.mmap, needles: Sequence[bytes], begin: int, end: int) -> Iterator[bytes]:
    """Every line that begins between the places and has one of the needles, or every one where there are none."""
    if not needles:
        at = begin
        while at < end:
            after = _end_of_line(held, at)
            yield held[at:after]
            at = after
        return
    last = -1
    for start in heapq.merge(*(_starts(held, needle, begin, end) for needle in needles)):
        if start != last:
            last = start
            yield held[start : _end_of_line(held, start)]


def _starts(held: mmap.mmap, needle: bytes, begin: int, end: int) -> Iterator[int]:
    at = held.find(needle, begin, end)
    while at != -1:
        yield held.rfind(b"\n", begin, at) + 1 or begin
        at = held.find(needle, _end_of_line(held, at), end)


def _end_of_line(held: mmap.mmap, at: int) -> int:
    return held.find(b"\n", at) + 1 or len(held)


def _bounds_of(held: mmap.mmap, moment: datetime, *, doubtful_is_late: bool) -> tuple[int, int]:
    """Between which places lines begin to be as late as ``moment``; the first is the beginning of a line.

    ``doubtful_is_late`` says on which side a line without a moment is, such as the half of a killed process.
    """
    wanted = stamp(moment).encode()
    low, high = 0, len(held)
    while high - low > _NEAR:
        middle = _end_of_line(held, (low + high) // 2)
        written = _stamp_at(held, middle)
        if doubtful_is_late if written is None else written >= wanted:
            high = (low + high) // 2
        else:
            low = middle
    return low, high


def _stamp_at(held: mmap.mmap, at: int) -> bytes | None:
    found = _STAMP.match(held, at)
    if found is not None:
        return found[1]
    entry = parsed(held[at : _end_of_line(held, at)])
    return stamp_of(entry).encode() if entry else None
