"""What a back-up holds, and how one sees that it still does."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from kirana.stack.faults import StackFault

FORMAT = 1
NAME = "manifest.json"
CLUSTER = "postgres"
"""The folder of the databases, which PostgreSQL's own ``backup_manifest`` vouches for."""

_CHUNK = 2**20


class Damaged(StackFault):
    """The back-up is not what was taken."""

    exit_code = 10


class File(msgspec.Struct, frozen=True):
    """One file as it was written."""

    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """``taken_at`` is the instant of the databases, RFC 3339; ``files`` are named relative to the back-up."""

    format: int
    kirana: str
    postgres: int
    taken_at: str
    files: dict[str, File]

    @property
    def bytes(self) -> int:
        """Of all files together."""
        return sum(file.bytes for file in self.files.values())


def described(folder: Path) -> dict[str, File]:
    """Every file of the back-up but its manifest."""
    return {
        str(path.relative_to(folder)): File(path.stat().st_size, _digest(path))
        for path in _files(folder)
        if path != folder / NAME
    }


def write(folder: Path, manifest: Manifest) -> None:
    """Put it into the back-up, readable by its owner only."""
    path = folder / NAME
    path.touch(mode=0o600)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")


def read(folder: Path) -> Manifest:
    """The manifest of a back-up that is whole. Raises :class:`Damaged` with every file that is not as it was."""
    try:
        manifest = msgspec.json.decode((folder / NAME).read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise Damaged(f"{folder} is no back-up.", cause=f"It has no {NAME}.", mend="kirana backup FOLDER") from None
    except msgspec.MsgspecError as fault:
        raise Damaged(f"The manifest of {folder} cannot be read.", cause=str(fault)) from None
    if manifest.format != FORMAT:
        raise Damaged(f"{folder} has the format {manifest.format}; this version reads {FORMAT}.")
    found = described(folder)
    wrong = [f"missing: {name}" for name in manifest.files if name not in found]
    wrong += [f"changed: {name}" for name, file in manifest.files.items() if found.get(name, file) != file]
    if wrong:
        raise Damaged(f"{folder} is damaged: {len(wrong)} of its files.", log=tuple(wrong[:20]))
    return manifest


def _files(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        yield from (Path(place) / name for name in sorted(names))


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
