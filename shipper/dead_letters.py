"""Keeps what Elasticsearch will never take, each line with its reason, for a person to look at."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

import orjson

NAME: Final = "dead-letters.jsonl"
MOST_BYTES: Final = 32 * 2**20
LONGEST_KEPT: Final = 65_536


class Letter(NamedTuple):
    """``line`` is kept as text up to :data:`LONGEST_KEPT` bytes."""

    id: str
    stream: str
    reason: str
    line: bytes


class DeadLetters:
    """Two files at most, as the spool has: a full one takes the place of an earlier one, whose letters are counted."""

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self._path = folder / NAME
        self._earlier = self._path.with_suffix(".1.jsonl")
        self._most_bytes = most_bytes
        self._known = {name for path in (self._path, self._earlier) for name in _ids(path)}
        _end_last_line(self._path)

    def keep(self, letters: list[Letter]) -> int:
        """Write those that an earlier try has not written; answers how many older ones had to go for want of room.

        Raises ``OSError``.
        """
        fresh = [letter for letter in letters if letter.id not in self._known]
        if not fresh:
            return 0
        gone = self._make_room()
        _end_last_line(self._path)  # a full disk may have cut the last letter, which is written once more
        with self._path.open("ab") as file:
            file.write(b"".join(_written(letter) for letter in fresh))
            file.flush()
            os.fsync(file.fileno())
        self._known.update(letter.id for letter in fresh)
        return gone

    def _make_room(self) -> int:
        if not self._path.exists() or self._path.stat().st_size < self._most_bytes:
            return 0
        gone = set(_ids(self._earlier))
        self._path.replace(self._earlier)
        self._known -= gone
        return len(gone)


def _written(letter: Letter) -> bytes:
    text = letter.line[:LONGEST_KEPT].decode("utf-8", "replace")
    told = {"id": letter.id, "stream": letter.stream, "reason": letter.reason, "line": text}
    return orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE)


def _ids(path: Path) -> list[str]:
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            found.append(str(orjson.loads(line)["id"]))
        except (orjson.JSONDecodeError, KeyError, TypeError):  # the half of a line, of a shipper that was killed
            continue
    return found


def _end_last_line(path: Path) -> None:
    if not path.exists() or not path.stat().st_size:
        return
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            file.write(b"\n")
