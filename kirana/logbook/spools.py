"""Where the files of the log are: in the spool of one stack, or in several folders that are read as one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Spool(Protocol):
    """What is read: a folder (:class:`~pathlib.Path`), or :class:`Together`."""

    def glob(self, pattern: str, /) -> Iterable[Path]:
        """The files in it with such a name, as they are called now."""
        ...


@dataclass(frozen=True)
class Together:
    """Several folders: of several machines, or copied from somewhere."""

    folders: tuple[Path, ...]

    def glob(self, pattern: str, /) -> Iterator[Path]:
        """Of all of them."""
        for folder in self.folders:
            yield from folder.glob(pattern)
