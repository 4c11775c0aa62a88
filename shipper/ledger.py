"""Counts what writers had to drop because nobody kept the bound of the disk in time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import orjson

from shared.logs.holding import FOLDER, GIVEN_UP
from shipper.places import DROPPED, Place, Places
from shipper.tail import Tail


def count_given_up(spool: Path, places: Places, open_tails: Mapping[str, Tail]) -> int:
    """Give up every file that has come into the ledger since the last time; answers how many lines are lost by it.

    Of a file that is still open, by birth in ``open_tails``, these are the lines that were not read yet; of another
    one those above its place. Raises ``OSError``.
    """
    ledger = spool / FOLDER / GIVEN_UP
    if not ledger.exists() or ledger.stat().st_size <= places.read:
        return 0
    told = ledger.read_bytes()
    fresh = told[places.read : told.rfind(b"\n") + 1]
    places.read += len(fresh)
    places.changed = True
    return sum(_lost(line, places, open_tails) for line in fresh.splitlines())


def _lost(line: bytes, places: Places, open_tails: Mapping[str, Tail]) -> int:
    try:
        told = orjson.loads(line)
        birth, lines = str(told["birth"]), int(told["lines"])
    except (ValueError, KeyError, TypeError):  # the half of a line, of a writer that was killed
        return 0
    place = places.files.get(birth, Place())
    if place.given_up:
        return 0
    if birth in open_tails:
        return open_tails[birth].give_up()
    lost = max(0, lines - place.lines)
    places.files.pop(birth, None)
    places.add({DROPPED: lost})
    return lost
