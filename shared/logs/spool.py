"""Where log lines go: stdout, and a file per process from which they are shipped and searched."""

from __future__ import annotations

import fcntl
import os
import posix  # eventlet replaces os.write by one that spins on a closed pipe; posix keeps the real one
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from shared.logs.holding import hold
from shared.logs.leftovers import clear_leftovers

STDOUT: Final = 1

MOST_BYTES: Final = 64 * 2**20
"""A file that has grown to this becomes ``<name>.1.jsonl``, in the place of an earlier one: twice this is the most.

Where a shipper works, the earlier one is held for it beside the spool until it has read it to the end."""

LOOK_SECONDS: Final = 1.0


class Spool:
    """Appends whole lines, each in one ``write``, so that lines of several writers never mix.

    Told of an event loop with :meth:`gather`, it lets the lines of one turn of it go to the file together.
    Never raises: a full disk or a closed pipe must not stop the shop. What could not be written is counted.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        stdout: int | None = STDOUT,
        most_bytes: int = MOST_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.dropped = 0
        self._path = path
        self._stdout = stdout
        self._most_bytes = most_bytes
        self._clock = clock
        self._looks_again_at = clock() + LOOK_SECONDS
        self._file = self._begin(path) if path else None
        self._gathered: list[bytes] = []
        self._soon: Callable[[Callable[[], None]], object] | None = None
        self._thread = 0

    def gather(self, soon: Callable[[Callable[[], None]], object] | None) -> None:
        """From now on write this thread's lines to the file once per turn; ``soon`` is its loop's ``call_soon``.

        A writing to disk is a fourteenth of what a busy edge does for a request. Lines of the turn in which a process
        is killed are lost with it. ``None`` ends that, as the loop's end must.
        """
        self.flush()
        self._soon, self._thread = soon, threading.get_ident()

    def flush(self) -> None:
        """Write what was gathered. A line that comes meanwhile, as from a finaliser, is one of the next turn."""
        lines, self._gathered = self._gathered, []
        if lines and self._file is not None:
            self._append(self._file, b"".join(lines))

    def write(self, line: bytes) -> None:
        """Write a line (with its newline) to both places."""
        if self._path is not None and self._clock() >= self._looks_again_at:
            self._keep_bounded(self._path)
        if self._file is not None:
            self._file_away(self._file, line)
        if self._stdout is not None:
            self._append(self._stdout, line)

    def close(self) -> None:
        """Close the file; stdout stays open."""
        self.flush()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _file_away(self, file: int, line: bytes) -> None:
        if self._soon is None or threading.get_ident() != self._thread:
            self._append(file, line)
            return
        if not self._gathered:
            self._soon(self.flush)
        self._gathered.append(line)

    def _append(self, descriptor: int, line: bytes) -> None:
        try:
            written = posix.write(descriptor, line)
            while written < len(line):  # a pipe may take a long line in parts
                line = line[written:]
                written = posix.write(descriptor, line)
        except OSError:
            self.dropped += 1

    def _begin(self, path: Path) -> int | None:
        """Open the file and mark it as in use, for others that begin now; then clear away what is left of old ones."""
        file = self._open(path)
        if file is not None:
            with suppress(OSError):
                os.utime(file)
            clear_leftovers(path)
        return file

    def _open(self, path: Path) -> int | None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError:
            self.dropped += 1
            return None

    def _keep_bounded(self, path: Path) -> None:
        """Move a full file away, or follow another writer that did, or open what could not be opened before."""
        self._looks_again_at = self._clock() + LOOK_SECONDS
        if self._file is not None:
            if self._is_current(path) and os.fstat(self._file).st_size >= self._most_bytes:
                self._move_away(path)
            if self._is_current(path):
                return
            self.close()
        self._file = self._open(path)

    def _is_current(self, path: Path) -> bool:
        try:
            return self._file is not None and os.path.samestat(path.stat(), os.fstat(self._file))
        except OSError:
            return False

    def _move_away(self, path: Path) -> None:
        """Of several writers only the one that holds the full file's lock does it, and only while it is current."""
        assert self._file is not None, "only an open file grows"  # noqa: S101 - for the reader and the type checker
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return
        try:
            if self._is_current(path):
                self._hold(path)
                path.replace(path.with_suffix(f".1{path.suffix}"))
        except OSError:
            self.dropped += 1
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _hold(self, path: Path) -> None:
        assert self._file is not None, "as above"  # noqa: S101 - as above
        try:
            hold(path, self._file)
        except OSError:  # the bound of the disk matters more
            self.dropped += 1
