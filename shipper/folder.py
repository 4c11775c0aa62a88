"""Knows every spool file under whatever names it has now, and holds the full ones until they are settled."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

from shared.logs.holding import BOUND, FOLDER, HELD, birth_of, name_of
from shipper.front import answered
from shipper.ledger import count_given_up
from shipper.metering import Meters
from shipper.places import Places
from shipper.tail import Tail

log = structlog.get_logger()

QUIET_SECONDS: Final = 10.0
"""A writer may learn a second late that its file was moved away, a stopped one later: so long nobody wrote to it."""

KEPT_SECONDS: Final = 7 * 86_400.0
"""A settled file that nobody wrote to for so long is deleted: every new container leaves files under its own name."""

MOST_LOOKS: Final = 10
_SUFFIX: Final = ".jsonl"
_MOVED_AWAY: Final = ".1.jsonl"


class Folder:
    """The spool. ``quiet_seconds`` pass before a full file that is settled is let go."""

    def __init__(
        self, spool: Path, places: Places, meters: Meters, *, disk_bytes: int, quiet_seconds: float = QUIET_SECONDS
    ) -> None:  # fmt: skip
        self._spool = spool
        self._held = spool / FOLDER / HELD
        self._places = places
        self._meters = meters
        self._disk_bytes = disk_bytes
        self._quiet_seconds = quiet_seconds
        self._tails: dict[int, Tail] = {}
        self._names: dict[int, list[Path]] = {}
        self._leaving: list[Tail] = []
        self._turn = 0
        self._is_complete = True
        prepare(spool, disk_bytes)

    def look(self) -> None:
        """See which files there are, let go of those that are done with, and keep the bound. Raises ``OSError``."""
        self._names = self._seen()
        fresh = [number for number in self._names if number not in self._tails]
        opened = [self._open(number) for number in fresh]
        self._is_complete = all(opened)
        self._count_missed()
        self._count_answered()
        for number, tail in list(self._tails.items()):
            if tail.unread < 0:  # it was emptied in place: another file now
                self._retire(number)
            elif number not in self._names:
                if tail.is_finished or tail.place.given_up:
                    self._retire(number)
            else:
                self._hold_or_release(number, tail)
        self.settle()
        self._keep_bound()

    def forget_vanished(self) -> None:
        """Once, after the first look: places of files that are no more.

        One that was moved away between being seen and being opened is no such file.
        """
        for _ in range(MOST_LOOKS):
            if self._is_complete:
                break
            self.look()
        else:
            return
        known = {tail.birth for tail in self._tails.values()}
        for birth in [birth for birth in self._places.files if birth not in known]:
            del self._places.files[birth]
            self._places.changed = True

    def in_turn(self) -> Iterator[tuple[Tail, bool]]:
        """Every file to read from now, and whether nobody writes to it any more; each time another one is the first.

        Of the full files only the oldest: what is new matters most to whoever looks.
        """
        readable = [number for number, tail in self._tails.items() if tail.unread > 0]
        full = sorted((number for number in readable if not self._is_current(number)), key=self._changed_at)
        chosen = [*full[:1], *(number for number in readable if self._is_current(number))]
        self._turn += 1
        first = self._turn % max(1, len(chosen))
        for number in chosen[first:] + chosen[:first]:
            yield self._tails[number], not self._is_current(number) and self._is_quiet(number)

    def settle(self) -> None:
        """Move every place as far as it goes."""
        for tail in [*self._tails.values(), *self._leaving]:
            tail.settle()
        for tail in [tail for tail in self._leaving if not tail.is_busy]:
            self._leaving.remove(tail)
            tail.forget()

    @property
    def tails(self) -> list[Tail]:
        """All files that are followed."""
        return [*self._tails.values()]

    @property
    def held_bytes(self) -> int:
        """What the full files that wait take up."""
        return sum(self._tails[number].size for number in self._held_numbers())

    def _count_missed(self) -> None:
        missed = count_given_up(self._spool, self._places, {tail.birth: tail for tail in self._tails.values()})
        if missed:
            self._meters.dropped("no_shipper", missed)
            log.error("shipping.missed", lines=missed)

    def _count_answered(self) -> None:
        for tail in self._tails.values():
            for (route, status), requests in answered(tail).items():
                self._meters.front_answered(route, status, requests)
                self._places.changed = True

    def _seen(self) -> dict[int, list[Path]]:
        names: dict[int, list[Path]] = {}
        for folder in (self._spool, self._held):
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.endswith(_SUFFIX):
                        names.setdefault(entry.inode(), []).append(Path(entry.path))
        return names

    def _open(self, number: int) -> bool:
        """Whether it was there by one of its names; one that was moved away in this moment the next look finds."""
        for path in self._names[number]:
            with suppress(FileNotFoundError):
                file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                if os.fstat(file).st_ino == number:
                    self._follow(number, file)
                    return True
                os.close(file)
        return False

    def _follow(self, number: int, file: int) -> None:
        birth = birth_of(file)
        if birth is None or birth in {tail.birth for tail in (*self._tails.values(), *self._leaving)}:
            os.close(file)  # it has no line yet, or is a copy of another one
        else:
            self._tails[number] = Tail(file, birth, self._places)

    def _retire(self, number: int) -> None:
        """Close the file, which gives its room back, though parts of it may still be under way."""
        tail = self._tails.pop(number)
        tail.close()
        self._leaving.append(tail)

    def _is_current(self, number: int) -> bool:
        return any(
            path.parent == self._spool and not path.name.endswith(_MOVED_AWAY) for path in self._names.get(number, ())
        )

    def _held_name(self, number: int) -> Path | None:
        return next((path for path in self._names.get(number, ()) if path.parent == self._held), None)

    def _held_numbers(self) -> list[int]:
        return [number for number in self._tails if self._held_name(number) is not None]

    def _is_quiet(self, number: int) -> bool:
        return time.time() - self._changed_at(number) > self._quiet_seconds

    def _changed_at(self, number: int) -> float:
        return os.fstat(self._tails[number].file).st_mtime

    def _hold_or_release(self, number: int, tail: Tail) -> None:
        held = self._held_name(number)
        if held is not None:
            if tail.is_finished and self._is_quiet(number):
                self._let_go(number, held)
        elif tail.is_finished and time.time() - self._changed_at(number) > KEPT_SECONDS:
            self._places.commit()
            for path in self._names[number]:  # should somebody write to it in this moment, it is still read to its end
                path.unlink(missing_ok=True)
        elif not tail.is_finished and not tail.place.given_up and not self._is_current(number):
            path = self._names[number][0]
            with suppress(FileExistsError, FileNotFoundError):
                held = name_of(self._held, path, number)
                os.link(path, held)
                self._names[number].append(held)

    def _let_go(self, number: int, held: Path) -> None:
        self._places.commit()
        held.unlink(missing_ok=True)
        self._names[number].remove(held)

    def _keep_bound(self) -> None:
        """Drop the oldest full files while all together are larger than the bound."""
        total = self.held_bytes
        for number in sorted(self._held_numbers(), key=self._changed_at):
            if total <= self._disk_bytes:
                return
            tail, held = self._tails[number], self._held_name(number)
            assert held is not None, "one of those that are held"  # noqa: S101 - for the type checker
            total -= tail.size
            if not tail.is_finished:
                dropped = tail.give_up()
                self._meters.dropped("disk_bound", dropped)
                log.error("shipping.dropped", file=held.name, lines=dropped, pending=tail.place.pending)
            self._let_go(number, held)


def prepare(spool: Path, disk_bytes: int) -> None:
    """Make the folder that tells writers to hold full files, with the bound that they keep where we do not run."""
    folder = spool / FOLDER
    (folder / HELD).mkdir(parents=True, exist_ok=True)
    draft = folder / f".{BOUND}.draft"
    draft.write_text(str(disk_bytes), encoding="ascii")
    draft.replace(folder / BOUND)
