"""Deletes the spool files of instances that are no more, where no shipper does it.

Every new container writes under a name of its own, so that a spool on a volume would otherwise grow with each of them.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from shared.logs.holding import FOLDER

KEPT_SECONDS: Final = 7 * 86_400.0
"""As long as the shipper keeps a settled file; its writer opens the file as if it wrote to it, so it is not so old."""

_SUFFIX: Final = ".jsonl"
_MOVED_AWAY: Final = ".1"


def clear_leftovers(own: Path) -> None:
    """Delete what other instances left beside ``own``; nothing of one that wrote to either of its files within a week.

    Where a shipper keeps its places it decides, as only it knows what was sent. Raises no ``OSError``: a file that is
    gone meanwhile, or that we have no right to delete, must not stop a process from starting.
    """
    with suppress(OSError):
        if not (own.parent / FOLDER).exists():
            for files in _of_others(own):
                _delete_if_old(files)


def _of_others(own: Path) -> Iterable[list[Path]]:
    """The files of each other instance: the current one and the one that was moved away."""
    files: dict[str, list[Path]] = defaultdict(list)
    for path in own.parent.iterdir():
        if path.suffix == _SUFFIX and _instance_of(path) != _instance_of(own):
            files[_instance_of(path)].append(path)
    return files.values()


def _instance_of(path: Path) -> str:
    return path.stem.removesuffix(_MOVED_AWAY)


def _delete_if_old(files: list[Path]) -> None:
    with suppress(OSError):
        if max(file.lstat().st_mtime for file in files) < time.time() - KEPT_SECONDS:
            for file in files:
                file.unlink(missing_ok=True)
