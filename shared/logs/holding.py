"""Keeps full spool files for the shipper, if there is one, until it has read them to their end.

A held file is a second name (a hard link) in the folder ``.shipping/held`` of the spool, so it costs no copy and no
room while the spool has it too. Where nobody ships there is no such folder, and nothing is held.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final

FOLDER: Final = ".shipping"
HELD: Final = "held"
BOUND: Final = "bound"
"""A file with the bytes that the shipper lets full files have."""

GIVEN_UP: Final = "given-up.jsonl"
"""What writers had to drop while no shipper ran: one object a line."""

LENIENCE: Final = 2
"""A writer acts at this many times the bound: below that it is for the shipper, which knows what it has sent."""

LONGEST_NAMED: Final = 65_536
_CHUNK: Final = 2**20


def birth_of(file: int) -> str | None:
    """What a spool file is known by under every name: a digest of its first line. ``None`` before it has one.

    The first line tells process and microsecond, so no other file begins with it. Raises ``OSError``.
    """
    head = os.pread(file, LONGEST_NAMED, 0)
    first, newline, _ = head.partition(b"\n")
    return blake2b(first, digest_size=9).hexdigest() if newline or len(head) == LONGEST_NAMED else None


def hold(path: Path, file: int) -> None:
    """Give the full file at ``path`` a second name, and keep the bound if nobody else does. Raises ``OSError``."""
    folder = path.parent / FOLDER
    held = folder / HELD
    if not held.is_dir():
        return
    with suppress(FileExistsError):  # by a writer that died before it could move the file away
        os.link(path, name_of(held, path, os.fstat(file).st_ino))
    _keep_bound(folder, held)


def name_of(held: Path, path: Path, inode: int) -> Path:
    """The second name; a number that is in use is no other file's."""
    return held / f"{path.stem.removesuffix('.1')}.{inode}{path.suffix}"


def lines_from(file: int, start: int) -> int:
    """How many lines begin at ``start`` or after it, an unfinished last one included. Raises ``OSError``."""
    found, last = 0, b"\n"
    for chunk in _chunks(file, start):
        found += chunk.count(b"\n")
        last = chunk
    return found + (not last.endswith(b"\n"))


def _chunks(file: int, at: int) -> Iterator[bytes]:
    while chunk := os.pread(file, _CHUNK, at):
        yield chunk
        at += len(chunk)


def _keep_bound(folder: Path, held: Path) -> None:
    try:
        most = LENIENCE * int((folder / BOUND).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return
    sizes = sorted((found.stat().st_mtime_ns, found.stat().st_size, found.path) for found in os.scandir(held))
    total = sum(size for _, size, _ in sizes)
    for _, size, path in sizes:
        if total <= most:
            return
        _give_up(folder, path)
        total -= size


def _give_up(folder: Path, path: str) -> None:
    """Count the lines, then drop them: whoever dies in between has counted too many, never too few."""
    with suppress(FileNotFoundError):
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            told = {"birth": birth_of(file), "lines": lines_from(file, 0), "bytes": os.fstat(file).st_size}
        finally:
            os.close(file)
        ledger = os.open(folder / GIVEN_UP, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            os.write(ledger, json.dumps(told).encode() + b"\n")
        finally:
            os.close(ledger)
        Path(path).unlink()
