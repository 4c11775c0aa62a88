"""Remembers on disk how far each file is settled and what became of its lines, both in one step.

So the count of every line below a place is exact, however the shipper ends. Lines above it are sent again under the
same ids, which changes nothing in Elasticsearch.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

NAME: Final = "places.json"
DELIVERED: Final = "delivered"
DEAD: Final = "dead"
DROPPED: Final = "dropped"
"""What becomes of a line: delivered, in the file of dead letters, or dropped."""


@dataclass
class Place:
    """Of one file: the bytes and the lines that are settled.

    ``given_up`` says that the rest was dropped; ``pending`` lines of it had still been under way. In ``counted``
    bytes it was looked for what nginx answered itself.
    """

    at: int = 0
    lines: int = 0
    given_up: bool = False
    pending: int = 0
    counted: int = 0


@dataclass
class Places:
    """All that the shipper must not forget. ``read`` is how far the ledger of the writers' own drops is counted."""

    path: Path
    files: dict[str, Place] = field(default_factory=dict)
    totals: Counter[str] = field(default_factory=Counter)
    read: int = 0
    changed: bool = False

    def add(self, tally: dict[str, int]) -> None:
        """These lines are settled."""
        self.totals.update(tally)
        self.changed = True

    def commit(self) -> None:
        """Write it down, if anything is new. Raises ``OSError``."""
        if not self.changed:
            return
        draft = self.path.with_suffix(".draft")
        files = {birth: dict(vars(place)) for birth, place in self.files.items()}
        counted = {birth: file.pop("counted") for birth, file in files.items()}
        written = {
            "files": files,
            "counted": counted,  # apart, as an earlier shipper takes no place that has more than it knows
            "totals": dict(self.totals),
            "read": self.read,
        }
        with draft.open("wb") as file:
            file.write(orjson.dumps(written))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)
        self.changed = False


class Found(NamedTuple):
    """What was committed last, whether it could be read, and the lines that are lost by how the last shipper ended."""

    places: Places
    readable: bool
    lost: int


def load(folder: Path) -> Found:
    """What the predecessor left. When it cannot be read all is sent again, which does no harm.

    Lines that were under way when their file was given up, and then the shipper killed, count as dropped: nobody knows
    what became of them.
    """
    places, readable = _read(folder / NAME)
    lost = 0
    for place in places.files.values():
        if place.pending:
            places.add({DROPPED: place.pending})
            lost += place.pending
            place.pending = 0
    return Found(places, readable, lost)


def _read(path: Path) -> tuple[Places, bool]:
    try:
        found: dict[str, Any] = orjson.loads(path.read_bytes())
        counted = found.get("counted", {})
        files = {birth: Place(**place, counted=counted.get(birth, 0)) for birth, place in found["files"].items()}
        return Places(path, files, Counter(found["totals"]), found["read"]), True
    except FileNotFoundError:
        return Places(path), True
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return Places(path), False
