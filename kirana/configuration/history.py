"""Remembers every table that was put into Consul: who did it, when, why, and the whole text to go back to."""

from __future__ import annotations

import getpass
import os
import socket
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from edge.snapshot import hash_of
from kirana.configuration.documents import ROUTES_KEY, checked
from kirana.configuration.keys import MOST_AT_ONCE, Entry, Keys, Write
from kirana.stack.faults import StackFault

PREFIX = "kirana/history/routes/"
MOST_KEPT = 50


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One state of the table. ``packed`` is its compressed text, nothing when there was none."""

    number: int
    at: str
    by: str
    reason: str
    version: str
    packed: bytes | None

    @property
    def text(self) -> str | None:
        """The table; ``None`` when edges served by their own file from then on."""
        return None if self.packed is None else zlib.decompress(self.packed).decode()


BEGINNING = Change(number=0, at="", by="", reason="before the first change", version="", packed=None)
"""Kept nowhere, since it is always the same: no table in Consul, and each edge serves by its own file."""


@dataclass(frozen=True)
class Author:
    """Who changes something, and why."""

    by: str
    reason: str


ELSEWHERE = Author("elsewhere", "found before the next change")


def author_here(reason: str) -> Author:
    """``KIRANA_OPERATOR``, else whoever is logged in on this machine."""
    return Author(os.environ.get("KIRANA_OPERATOR") or f"{getpass.getuser()}@{socket.gethostname()}", reason)


class Stale(StackFault):
    """Somebody else was faster."""

    exit_code = 9


@dataclass(frozen=True)
class Book:
    """The table as it stands now (``None``: no such key) and all recorded changes, the oldest first."""

    current: Entry | None
    changes: list[Change]
    places: list[Entry]

    @property
    def text(self) -> str | None:
        """The table that stands there."""
        return None if self.current is None else self.current.value.decode(errors="replace")

    @property
    def version(self) -> str:
        """Names it, as edges do; empty while there is none."""
        return "" if self.text is None else hash_of(self.text)

    @property
    def is_recorded(self) -> bool:
        """Whether the last change led to what stands there; an edge's own door writes without a record."""
        return self.version == (self.changes[-1].version if self.changes else "")

    def change(self, number: int) -> Change:
        """The one of this number. Raises :class:`StackFault`."""
        for one in (BEGINNING, *self.changes):
            if one.number == number:
                return one
        known = (
            f"There are 0, and {self.changes[0].number} to {self.changes[-1].number}."
            if self.changes
            else "There is 0."
        )
        raise StackFault(f"No change has the number {number}. {known}", mend="kirana config history")


def read(keys: Keys) -> Book:
    """Everything."""
    places = keys.below(PREFIX)
    return Book(keys.get(ROUTES_KEY), [msgspec.json.decode(one.value, type=Change) for one in places], places)


def put(keys: Keys, text: str | None, author: Author, *, if_version: str | None = None) -> Change:
    """Put this table there and remember it, both or neither; ``None`` takes the table away.

    Raises :class:`kirana.configuration.documents.Refused` for a table that edges would not take, :class:`Stale` when
    another version than ``if_version`` stands there, or somebody writes at the same time.
    """
    if text is not None:
        checked(text)
    book = read(keys)
    if if_version is not None and book.version != if_version:
        raise Stale(f"Version {book.version or 'none'} stands there, not {if_version}.", mend="kirana config history")
    table = [] if text is None and book.current is None else [_over(book.current, text)]
    found = [] if book.is_recorded else [_change(_next(book), book.text, ELSEWHERE)]
    change = _change(_next(book) + len(found), text, author)
    remembered = [Write(_key(one.number), msgspec.json.encode(one), 0) for one in (*found, change)]
    surplus = max(0, len(book.places) + len(remembered) - MOST_KEPT)
    forgotten = [Write(entry.key, None, entry.index) for entry in book.places[: min(surplus, MOST_AT_ONCE // 2)]]
    if not keys.write([*table, *remembered, *forgotten]):
        raise Stale("Somebody else has written meanwhile; nothing was changed.", mend="kirana config history")
    return change


def withdraw(keys: Keys, author: Author) -> Change | None:
    """Take the table away, so that edges serve by their own file, and remember it; ``None`` if there was none.

    Raises :class:`Stale` when somebody writes at the same time.
    """
    book = read(keys)
    return put(keys, None, author, if_version=book.version) if book.current else None


def _over(current: Entry | None, text: str | None) -> Write:
    return Write(ROUTES_KEY, None if text is None else text.encode(), current.index if current else 0)


def _next(book: Book) -> int:
    return book.changes[-1].number + 1 if book.changes else 1


def _key(number: int) -> str:
    return f"{PREFIX}{number:08}"


def _change(number: int, text: str | None, author: Author) -> Change:
    return Change(
        number=number,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        by=author.by,
        reason=author.reason,
        version="" if text is None else hash_of(text),
        packed=None if text is None else zlib.compress(text.encode(), 9),
    )
