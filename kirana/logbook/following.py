"""Follows the spools: lines as they come, of processes that start later too."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from kirana.logbook.entry import Entry, stamp_of
from kirana.logbook.query import Query
from kirana.logbook.scanning import wanted_in
from kirana.logbook.spools import Spool

POLL_SECONDS = 0.2

_Identity = tuple[int, int]


def follow(spool: Spool, query: Query, pause: Callable[[float], None] = time.sleep) -> Iterator[list[Entry]]:
    """From now on: the wanted lines as they come. Never ends by itself."""
    places = {_identity(found): found.st_size for found in (path.stat() for path in spool.glob("*.jsonl"))}
    while True:
        fresh: list[Entry] = []
        for path in spool.glob("*.jsonl"):
            with suppress(FileNotFoundError):  # a full file was just moved away
                fresh += _read_on(path, query, places)
        yield sorted(fresh, key=stamp_of)
        pause(POLL_SECONDS)


def _identity(found: os.stat_result) -> _Identity:
    """A file stays itself when it gets another name."""
    return found.st_dev, found.st_ino


def _read_on(path: Path, query: Query, places: dict[_Identity, int]) -> list[Entry]:
    with path.open("rb") as file:
        found = os.fstat(file.fileno())
        place = places.get(_identity(found), 0)
        file.seek(place if found.st_size >= place else 0)  # it was emptied, or is another one in its place
        begun = file.tell()
        read = file.read()
    whole = read[: read.rfind(b"\n") + 1]
    places[_identity(found)] = begun + len(whole)
    return [entry for line in whole.splitlines() for entry in wanted_in(line, query)]
