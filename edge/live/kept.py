"""Keeps the last good table on disk, so that a restart serves it whatever has become of Consul or of its key."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

import structlog

from edge.document import MOST_BYTES

log = structlog.get_logger()


class Kept(Protocol):
    """The last good table that came from elsewhere than the edge's own file."""

    def read(self) -> str | None:
        """Its text, ``None`` if there is none or it cannot be read."""
        ...

    def write(self, text: str) -> None:
        """Replace it, whole or not at all."""
        ...

    def forget(self) -> None:
        """The edge's own file counts from now on."""
        ...


class KeptFile:
    """A file that all workers of an edge write, each with the same text. A disk that fails costs no request."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written: str | None = None
        self._is_failing = False

    def read(self) -> str | None:
        """As :class:`Kept`."""
        try:
            with self._path.open("rb") as file:
                return file.read(MOST_BYTES + 1).decode()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as fault:
            log.warning("edge.routes.kept_not_read", reason=str(fault))
            return None

    def write(self, text: str) -> None:
        """On the disk before it has its name, so that a power cut leaves the old text or the new one."""
        if text == self._written:
            return
        draft = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except OSError as fault:
            self._note(fault)
            return
        self._written, self._is_failing = text, False

    def forget(self) -> None:
        """As :class:`Kept`."""
        self._written = None
        try:
            self._path.unlink(missing_ok=True)
        except OSError as fault:
            self._note(fault)

    def _note(self, fault: OSError) -> None:
        if not self._is_failing:
            log.warning("edge.routes.not_kept", reason=str(fault))
        self._is_failing = True
