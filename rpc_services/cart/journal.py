"""Keeps every acknowledged state of every cart on disk, so that Redis may forget."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rpc_services.cart import trails
from rpc_services.cart.records import MEMORY
from shared.contracts.refusals import OutcomeUnknown, Unavailable

Run = Callable[..., Any]
"""Calls a function with its arguments, perhaps in a native thread so that an fsync does not stop everybody else."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS carts (
    owner TEXT PRIMARY KEY, version INTEGER NOT NULL, expires_at INTEGER NOT NULL, fields TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS carts_expiring ON carts (expires_at);
CREATE TABLE IF NOT EXISTS effects (
    id TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS effects_expiring ON effects (expires_at);
"""
NEWEST = "SELECT version, expires_at, fields FROM carts WHERE owner = ? AND expires_at > ?"
BEGINNING_OF = "SELECT version, substr(fields, 1, ?) FROM carts WHERE owner = ? AND expires_at > ?"
UPSERT = """
INSERT INTO carts (owner, version, expires_at, fields) VALUES (?, ?, ?, ?)
ON CONFLICT (owner) DO UPDATE
SET version = excluded.version, expires_at = excluded.expires_at, fields = excluded.fields
"""
FIND_EFFECT = "SELECT fingerprint FROM effects WHERE id = ? AND expires_at > ?"
REMEMBER = """
INSERT INTO effects (id, fingerprint, expires_at) VALUES (?, ?, ?)
ON CONFLICT (id) DO UPDATE
SET fingerprint = excluded.fingerprint, expires_at = excluded.expires_at
WHERE effects.expires_at <= ?
"""
OPEN = """
SELECT COUNT(*) FROM carts WHERE expires_at > ? AND instr(fields, '"q:') AND instr(fields, '"closed_by":""')
"""
BUSY_TIMEOUT_SECONDS = 2.0
WAL_ATTEMPTS = 10
MEMORY_MS = int(MEMORY.total_seconds() * 1000)

Row = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Stored:
    """The state of a cart as the journal keeps it. ``expires_at`` is in milliseconds since the epoch."""

    owner: str
    version: int
    expires_at: int
    fields: str


@dataclass(frozen=True, kw_only=True)
class Effect:
    """An operation has had its effect in a cart. ``expires_at`` is in milliseconds since the epoch."""

    id: str
    fingerprint: str
    expires_at: int


class Parted(Exception):
    """The journal has a state of the cart that this one was not built upon and did not lead to."""

    def __init__(self) -> None:
        super().__init__("the cart was changed from the same state elsewhere")


@dataclass
class _Entry:
    stored: Stored
    effect: Effect | None
    operation: str
    now: int
    done: bool = False
    fault: Exception | None = field(default=None)


def directly(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run it here and now."""
    return function(*arguments)


class Journal:
    """The newest state of each cart in a SQLite file, synced to disk before :meth:`keep` returns.

    Group commit: whoever comes while a commit is in flight joins the next one. All methods raise :class:`Unavailable`
    when the disk does not do its part. :meth:`keep` raises it also for a state that parted from those that the journal
    has, and :class:`OutcomeUnknown` when whoever commits for the batch is stopped while the disk works. Times are in
    milliseconds since the epoch.
    """

    def __init__(self, path: Path, *, run: Run = directly) -> None:
        self._path = path
        self._run = run
        self._waiting: list[_Entry] = []
        self._committing = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self.commits = 0

    def read(self, owner: str, *, now: int) -> Stored | None:
        """The newest state of a cart that has not expired."""
        row = self._first(NEWEST, owner, now)
        return Stored(owner=owner, version=row[0], expires_at=row[1], fields=row[2]) if row else None

    def find_effect(self, id_: str, *, now: int) -> str | None:
        """The fingerprint of an operation that has had its effect and is still remembered."""
        row = self._first(FIND_EFFECT, id_, now)
        return str(row[0]) if row else None

    def _first(self, query: str, *values: str | int) -> Any:
        try:
            self._reader = self._reader or self._open()
            return self._reader.execute(query, values).fetchone()
        except (sqlite3.Error, OSError) as fault:
            self._reader = None
            raise Unavailable(retry_after=1) from fault

    def keep(self, stored: Stored, *, now: int, effect: Effect | None = None, operation: str = "") -> None:
        """Make a state durable, unless a newer one that was built upon it already is, and what it is the effect of.

        What else it was built upon and nobody has journalled is remembered with it. ``operation`` is the name by which
        the state itself remembers what has no key.
        """
        entry = _Entry(stored, effect, operation, now)
        self._waiting.append(entry)
        with self._committing:
            if not entry.done:
                self._commit_all()
        if isinstance(entry.fault, OutcomeUnknown):
            raise entry.fault
        if entry.fault is not None:
            raise Unavailable(retry_after=1) from entry.fault

    def forget_expired(self, *, now: int) -> int:
        """Drop the carts and operations whose time is over. Gives how many carts."""
        with self._committing:
            try:
                return int(self._run(self._delete_expired, now))
            except (sqlite3.Error, OSError) as fault:
                raise Unavailable(retry_after=1) from fault

    def count_open(self, *, now: int) -> int:
        """How many carts have something in them: reads them all, 0.13 s of a core for 100,000, beside everybody."""
        try:
            return int(self._run(self._count_open, now))
        except (sqlite3.Error, OSError) as fault:
            raise Unavailable(retry_after=1) from fault

    def check(self) -> None:
        """Raise :class:`Unavailable` when the file cannot be read."""
        self.read("", now=0)

    def close(self) -> None:
        """Let go of the file."""
        for connection in (self._writer, self._reader):
            if connection is not None:
                connection.close()
        self._writer = self._reader = None

    def _commit_all(self) -> None:
        batch, self._waiting = self._waiting, []
        fault: Exception | None = OutcomeUnknown()
        try:
            self._run(self._write, batch)
            fault = None
        except (sqlite3.Error, OSError) as caught:
            fault = caught
        finally:  # the deadline of whoever commits for all may pass here: then nobody was told what the disk did
            if isinstance(fault, OutcomeUnknown):
                self._writer = None  # the stopped commit may still be using it
            for entry in batch:
                entry.done, entry.fault = True, fault or entry.fault

    def _write(self, batch: Sequence[_Entry]) -> None:
        try:
            writer = self._writer = self._writer or self._open()
            with writer:
                writer.execute("BEGIN IMMEDIATE")
                news = _News(writer)
                for entry in sorted(batch, key=lambda each: each.stored.version):  # each is compared with one near it
                    news.add(entry)
                writer.executemany(UPSERT, news.carts.values())
                writer.executemany(REMEMBER, news.effects.values())
        except (sqlite3.Error, OSError):
            self._writer = None
            raise
        self.commits += 1

    def _delete_expired(self, now: int) -> int:
        self._writer = self._writer or self._open()
        with self._writer:
            self._writer.execute("DELETE FROM effects WHERE expires_at <= ?", (now,))
            return self._writer.execute("DELETE FROM carts WHERE expires_at <= ?", (now,)).rowcount

    def _count_open(self, now: int) -> int:
        with closing(self._open()) as counting:
            (number,) = counting.execute(OPEN, (now,)).fetchone()
        return int(number)

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_SECONDS, check_same_thread=False)
        _use_wal(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(SCHEMA)
        return connection


class _News:
    """Rows of the carts that a batch makes newer, and of the effects that are in them and were not journalled."""

    def __init__(self, writer: sqlite3.Connection) -> None:
        self._writer = writer
        self._newest: dict[str, tuple[int, list[str]]] = {}
        self.carts: dict[str, Row] = {}
        self.effects: dict[str, Row] = {}

    def add(self, entry: _Entry) -> None:
        """Mark what has parted from its cart as such, and take nothing of it."""
        state = entry.stored
        marks = trails.marks_of(state.version, state.fields)
        version, here = self._newest.get(state.owner) or self._kept(state.owner, entry.now)
        newer_by = state.version - version
        if trails.is_out_of_sight(here, newer_by=newer_by):
            parted = not self._has(entry)
        else:
            parted = trails.have_parted(marks, here, newer_by=newer_by)
        if parted:
            entry.fault = Parted()
            return
        if newer_by > 0:
            self._newest[state.owner] = state.version, marks
            self.carts[state.owner] = (state.owner, state.version, state.expires_at, state.fields)
        self.effects |= _effects(entry, marks[: max(0, newer_by)])

    def _kept(self, owner: str, now: int) -> tuple[int, list[str]]:
        row = self._writer.execute(BEGINNING_OF, (trails.LONGEST, owner, now)).fetchone()
        return (row[0], trails.marks_of(*row)) if row else (0, [])

    def _has(self, entry: _Entry) -> bool:
        """Whether a change that comes too late to be compared is known by its effect, or to the cart itself."""
        if (own := entry.effect) is not None:
            return (
                own.id in self.effects or self._writer.execute(FIND_EFFECT, (own.id, entry.now)).fetchone() is not None
            )
        owner = entry.stored.owner
        row = self.carts.get(owner) or self._writer.execute(NEWEST, (owner, entry.now)).fetchone()
        return entry.operation in str(row[-1])


def _effects(entry: _Entry, marks: Sequence[str]) -> dict[str, Row]:
    """What was built upon and is not journalled is remembered for as long as if it were told now."""
    until = entry.now + MEMORY_MS
    rows: dict[str, Row] = {id_: (id_, fingerprint, until, entry.now) for id_, fingerprint in trails.effects_in(marks)}
    if (own := entry.effect) is not None:
        rows[own.id] = (own.id, own.fingerprint, own.expires_at, entry.now)
    return rows


def _use_wal(connection: sqlite3.Connection) -> None:
    """Of several who open a new file at once only one can switch it, and SQLite by itself does not wait for that."""
    for attempt in range(1, WAL_ATTEMPTS + 1):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if attempt == WAL_ATTEMPTS:
                raise
            connection.execute("BEGIN IMMEDIATE")  # for this it waits
            connection.execute("COMMIT")
        else:
            return
