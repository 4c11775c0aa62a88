"""Where the log is: in the spool of one stack, in several folders that are read as one, or in an archive far away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from kirana.logbook.entry import Entry
from kirana.logbook.query import Query


class Spool(Protocol):
    """What is read: a folder (:class:`~pathlib.Path`), or :class:`Together`."""

    def glob(self, pattern: str, /) -> Iterable[Path]:
        """The files in it with such a name, as they are called now."""
        ...


@runtime_checkable
class Archive(Protocol):
    """What is not read but asked: it finds lines by itself, of all processes, gone ones included."""

    def found(self, query: Query, *, longest: int | None = None) -> Iterator[Entry]:
        """The wanted lines, oldest first; or so many whose work took longest, these first."""
        ...

    def first_moment(self) -> str | None:
        """The oldest line that is kept, as its moment stands in it."""
        ...


Log = Spool | Archive


@dataclass(frozen=True)
class Together:
    """Several folders: of several machines, or copied from somewhere."""

    folders: tuple[Path, ...]

    def glob(self, pattern: str, /) -> Iterator[Path]:
        """Of all of them."""
        for folder in self.folders:
            yield from folder.glob(pattern)
