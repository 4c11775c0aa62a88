"""Where log lines go: stdout, and a file per process from which they are shipped and searched."""

from __future__ import annotations

import os
import posix  # eventlet replaces os.write by one that spins on a closed pipe; posix keeps the real one
from pathlib import Path
from typing import Final

STDOUT: Final = 1


class Spool:
    """Appends whole lines, one ``write`` each, so that lines of several writers never mix.

    Never raises: a full disk or a closed pipe must not stop the shop. What could not be written is counted.
    """

    def __init__(self, path: Path | None, *, stdout: int | None = STDOUT) -> None:
        self.dropped = 0
        self._stdout = stdout
        self._file = self._open(path) if path else None

    def write(self, line: bytes) -> None:
        """Write a line (with its newline) to both places."""
        if self._file is not None:
            self._append(self._file, line)
        if self._stdout is not None:
            self._append(self._stdout, line)

    def close(self) -> None:
        """Close the file; stdout stays open."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _append(self, descriptor: int, line: bytes) -> None:
        try:
            written = posix.write(descriptor, line)
            while written < len(line):  # a pipe may take a long line in parts
                line = line[written:]
                written = posix.write(descriptor, line)
        except OSError:
            self.dropped += 1

    def _open(self, path: Path) -> int | None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError:
            self.dropped += 1
            return None
