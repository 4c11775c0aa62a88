"""Gathers what the files have into one request, and writes down what became of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from shipper.dead_letters import DeadLetters, Letter
from shipper.delivery import Fate
from shipper.folder import Folder
from shipper.metering import Meters
from shipper.places import DEAD, DELIVERED, DROPPED, Places
from shipper.records import Broken, Record
from shipper.tail import Stretch
from shipper.verdicts import Kind

MOST_RECORDS: Final = 2_000
MOST_BYTES: Final = 2 * 2**20
"""Of lines, before they are compressed: well below the 100 MB that Elasticsearch takes."""


@dataclass
class Batch:
    """What travels together, with the stretches of files, by the files' births, that it came from."""

    records: list[Record] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    stretches: dict[str, Stretch] = field(default_factory=dict)
    size: int = 0

    @property
    def is_full(self) -> bool:
        """Whether there may well be more to send at once."""
        return len(self.records) + len(self.broken) >= MOST_RECORDS // 2 or self.size >= MOST_BYTES // 2


def gather(folder: Folder) -> Batch:
    """The next lines of all files; empty when there are none. Raises ``OSError``."""
    batch = Batch()
    for tail, is_whole in folder.in_turn():
        room = MOST_RECORDS - len(batch.records) - len(batch.broken)
        if room <= 0 or batch.size >= MOST_BYTES:
            break
        taken = tail.take(room, MOST_BYTES - batch.size, is_whole=is_whole)
        if taken is not None:
            batch.records += taken.records
            batch.broken += taken.broken
            batch.stretches[tail.birth] = taken.stretch
            batch.size += sum(len(each.line) for each in taken.records) + sum(len(each.line) for each in taken.broken)
    return batch


class Bookkeeping:
    """Writes dead letters before it lets a stretch count as settled, so that no crash can lose one."""

    def __init__(self, places: Places, letters: DeadLetters, meters: Meters) -> None:
        self._places = places
        self._letters = letters
        self._meters = meters

    def settle(self, batch: Batch, fates: list[Fate]) -> None:
        """Every record of ``batch`` has its fate."""
        letters = [Letter(each.id, "", each.reason, each.line) for each in batch.broken]
        for record, verdict in fates:
            if verdict.kind is Kind.DEAD:
                letters.append(Letter(record.id, record.stream, verdict.reason, record.line))
            else:
                batch.stretches[_birth(record.id)].tally[DELIVERED] += 1
        self._count(fates)
        outcome = self._keep(letters)
        for letter in letters:
            batch.stretches[_birth(letter.id)].tally[outcome] += 1
        for stretch in batch.stretches.values():
            stretch.settled = True

    def commit(self) -> None:
        """Write the places down. Raises ``OSError``."""
        self._places.commit()

    def _keep(self, letters: list[Letter]) -> str:
        if not letters:
            return DEAD
        try:
            gone = self._letters.keep(letters)
        except OSError:
            self._meters.dropped("dead_letters_unwritten", len(letters))
            return DROPPED
        self._meters.settled(DEAD, len(letters))
        if gone:
            self._meters.dropped("dead_letters_full", gone)
            self._places.add({"dead_letters_dropped": gone})
        return DEAD

    def _count(self, fates: list[Fate]) -> None:
        for kind, number in Counter(fate.verdict.kind for fate in fates).items():
            if kind is not Kind.DEAD:
                self._meters.settled(kind.value, number)


def _birth(name: str) -> str:
    return name.partition("-")[0]
