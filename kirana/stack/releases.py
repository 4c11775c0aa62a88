"""Keeps versions of our code side by side: each in a folder of its own, named after what is in it."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kirana.stack.faults import StackFault
from kirana.stack.home import Home
from kirana.stack.state import CHECKOUT

PACKAGES = ("edge", "rpc_services", "shared")
MOST_KEPT = 5
FILE_NAME = "releases.json"


@dataclass(frozen=True)
class Release:
    """A version of our code; ``folder`` is what goes before everything else on Python's path."""

    name: str
    folder: Path


def take_in(source: Path, home: Home) -> Release:
    """Copy a checkout's or wheel's packages, so that what is on trial cannot change. Raises :class:`StackFault`."""
    with _unpacked(source) as found:
        missing = [package for package in PACKAGES if not (found / package / "__init__.py").exists()]
        if missing:
            raise StackFault(f"{source} holds no {' and no '.join(missing)}.", mend="kirana deploy FOLDER|WHEEL")
        name = _hash_of(found)
        folder = _releases(home) / name
        if not folder.is_dir():
            draft = folder.with_name(f".{name}.draft")
            shutil.rmtree(draft, ignore_errors=True)
            for package in PACKAGES:
                shutil.copytree(found / package, draft / package, ignore=shutil.ignore_patterns("__pycache__"))
            draft.replace(folder)
    return Release(name, folder)


def pin(home: Home, part: str, release: Release | None) -> None:
    """Have ``kirana up`` start this part from ``release`` from now on; ``None``: from the checkout again."""
    pinned = _pinned(home.root)
    pinned.pop(part, None)
    if release is not None:
        pinned[part] = release.name
    path = home.root / FILE_NAME
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(pinned, indent=2), encoding="utf-8")
    draft.replace(path)
    _forget_old(home, set(pinned.values()))


def environment(root: Path, part: str) -> dict[str, str]:
    """What has a process of this part run its pinned release; nothing if it runs the checkout."""
    name = _pinned(root).get(part)
    folder = root / "releases" / name if name else None
    return {"PYTHONPATH": str(folder), "KIRANA_BUILD": str(name)} if folder and folder.is_dir() else {}


def is_checkout(source: Path) -> bool:
    """Whether this is where this very command runs from."""
    return source.resolve() == CHECKOUT


def _pinned(root: Path) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads((root / FILE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _releases(home: Home) -> Path:
    folder = home.root / "releases"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _forget_old(home: Home, kept: set[str]) -> None:
    found = sorted((each for each in _releases(home).iterdir()), key=lambda each: each.stat().st_mtime, reverse=True)
    for each in found[MOST_KEPT:]:
        if each.name not in kept:
            shutil.rmtree(each)


@contextmanager
def _unpacked(source: Path) -> Iterator[Path]:
    if source.is_dir():
        yield source
        return
    if not zipfile.is_zipfile(source):
        raise StackFault(f"{source} is neither a folder nor a wheel.", mend="kirana deploy FOLDER|WHEEL")
    with tempfile.TemporaryDirectory(prefix="kirana-wheel-") as place, zipfile.ZipFile(source) as wheel:
        wheel.extractall(place)
        yield Path(place)


def _hash_of(folder: Path) -> str:
    digest = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((folder / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
