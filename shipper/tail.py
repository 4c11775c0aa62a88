"""Follows one spool file: what of it was read, what is under way, and how far it is settled."""

from __future__ import annotations

import os
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from shared.logs.holding import lines_from
from shipper.places import DROPPED, Place, Places
from shipper.records import Broken, Record, record_of

CHUNK: Final = 2**21
LONGEST_LINE: Final = 2**20


@dataclass(eq=False)
class Stretch:
    """A part of a file that is dealt with as one; ``tally`` says what became of its lines once it is settled."""

    end: int
    lines: int
    tally: Counter[str] = field(default_factory=Counter)
    settled: bool = False


class Taken(NamedTuple):
    """What was read: lines to send, lines that cannot be sent, and the stretch that they are."""

    records: list[Record]
    broken: list[Broken]
    stretch: Stretch


class Tail:
    """``birth`` is the file's name for ever. The descriptor keeps a deleted file readable."""

    def __init__(self, file: int, birth: str, places: Places) -> None:
        self.birth = birth
        self.file = file
        self.place = places.files.setdefault(birth, Place())
        self._places = places
        self._read_to = self.place.at
        self._under_way: deque[Stretch] = deque()

    @property
    def size(self) -> int:
        """Bytes in the file now."""
        return os.fstat(self.file).st_size

    @property
    def unread(self) -> int:
        """Bytes that wait to be read; negative when the file was cut."""
        return 0 if self.place.given_up else self.size - self._read_to

    @property
    def unsettled(self) -> int:
        """Bytes of whose lines nobody knows yet what becomes of them."""
        return 0 if self.place.given_up else max(0, self.size - self.place.at)

    @property
    def is_busy(self) -> bool:
        """Whether a part of it is under way."""
        return bool(self._under_way)

    @property
    def is_finished(self) -> bool:
        """Whether all of it is settled."""
        return not self._under_way and self.unread <= 0

    def take(self, most_lines: int, most_bytes: int, *, is_whole: bool) -> Taken | None:
        """The next whole lines; of a file that ``is_whole``, nobody writes to it any more, the last half of one too."""
        data = os.pread(self.file, max(1, min(CHUNK, most_bytes)), self._read_to)
        cut = data.rfind(b"\n") + 1
        if not cut:
            return self._odd_end(is_whole=is_whole) if data else None
        lines = data[: cut - 1].split(b"\n", most_lines)[:most_lines]
        return self._taken(lines, sum(map(len, lines)) + len(lines))

    def peek(self) -> bytes:
        """How the first line that is not settled begins."""
        return os.pread(self.file, 256, self.place.at)

    def give_up(self) -> int:
        """Drop what was not read yet; answers how many lines. Whoever is killed now has told how many are pending."""
        dropped = lines_from(self.file, self._read_to)
        self.place.pending = sum(stretch.lines for stretch in self._under_way)
        self.place.given_up = True
        self._places.add({DROPPED: dropped})
        return dropped

    def settle(self) -> None:
        """Move the place over whatever is settled from the front on."""
        while self._under_way and self._under_way[0].settled:
            stretch = self._under_way.popleft()
            self.place.at, self.place.lines = stretch.end, self.place.lines + stretch.lines
            self.place.pending = max(0, self.place.pending - stretch.lines)
            self._places.add(stretch.tally)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self.file)

    def forget(self) -> None:
        """Let go of its place."""
        self._places.files.pop(self.birth, None)
        self._places.changed = True

    def _taken(self, lines: list[bytes], length: int) -> Taken:
        at, found = self._read_to, []
        for line in lines:
            found.append(record_of(line, f"{self.birth}-{at:x}"))
            at += len(line) + 1
        self._read_to += length
        records = [each for each in found if isinstance(each, Record)]
        broken = [each for each in found if isinstance(each, Broken)]
        return Taken(records, broken, self._begun(len(lines)))

    def _begun(self, lines: int) -> Stretch:
        stretch = Stretch(self._read_to, lines)
        self._under_way.append(stretch)
        return stretch

    def _odd_end(self, *, is_whole: bool) -> Taken | None:
        """A line longer than any that we write, or the half of one."""
        data = os.pread(self.file, LONGEST_LINE, self._read_to)
        cut = data.find(b"\n") + 1
        if cut:
            return self._taken([data[: cut - 1]], cut)
        reason = "too_long" if len(data) == LONGEST_LINE else "unfinished"
        if reason == "unfinished" and not is_whole:
            return None
        broken = Broken(f"{self.birth}-{self._read_to:x}", data, reason)
        self._read_to = self._next_line(self._read_to + len(data))
        return Taken([], [broken], self._begun(1))

    def _next_line(self, at: int) -> int:
        while data := os.pread(self.file, CHUNK, at):
            found = data.find(b"\n")
            if found >= 0:
                return at + found + 1
            at += len(data)
        return at
