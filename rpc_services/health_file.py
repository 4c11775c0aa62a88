"""Lets a container's health check ask a service process how it is, without a port: a small file, written over and over.

Only the standard library is imported, because ``python -m rpc_services healthy`` runs every few seconds beside the
process that it asks about.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

VARIABLE: Final = "KIRANA_HEALTH_FILE"
BEAT_SECONDS: Final = 3.0
STALE_SECONDS: Final = 15.0
"""A report that old was written by a process that hangs or is gone."""


def write_report(path: Path, *, ok: bool, dependencies: Mapping[str, str]) -> None:
    """Put a new report in the place of the last one. Raises ``OSError``."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps({"ok": ok, "dependencies": dict(dependencies)}), encoding="utf-8")
    draft.replace(path)


def complaint_about(path: Path, *, now: float) -> str:
    """What is wrong with the process that reports at ``path``; empty when it is well."""
    try:
        age = now - path.stat().st_mtime
        report = json.loads(path.read_text(encoding="utf-8"))
        is_ok, dependencies = bool(report["ok"]), dict(report["dependencies"])
    except FileNotFoundError:
        return f"there is no report at {path}: the process has not started, or is stopping"
    except (OSError, ValueError, KeyError, TypeError) as fault:
        return f"{path} is no report: {fault!r}"
    if age >= STALE_SECONDS:
        return f"the last report is {age:.0f} s old"
    if not is_ok:
        return ", ".join(f"{name}: {outcome}" for name, outcome in sorted(dependencies.items()))
    return ""


def silence_of(path: Path, *, now: float) -> str:
    """What says that the process which reports at ``path`` hangs or is gone; empty when it goes on reporting."""
    try:
        age = now - path.stat().st_mtime
    except OSError as fault:
        return f"there is no report at {path}: {fault.strerror}"
    return f"the last report is {age:.0f} s old" if age >= STALE_SECONDS else ""


def main(environ: Mapping[str, str], *, question: str = "healthy") -> int:
    """The exit status for a health check.

    ``healthy``: 0 only if the last report is fresh and says that all is well. ``alive``: 0 if it is fresh, whatever it
    says, so that nobody starts a process again for what is wrong with its database.
    """
    place = environ.get(VARIABLE, "")
    judge = silence_of if question == "alive" else complaint_about
    complaint = judge(Path(place), now=time.time()) if place else f"{VARIABLE} is not set"
    if complaint:
        sys.stderr.write(f"not {question}: {complaint}\n")
    return 1 if complaint else 0
