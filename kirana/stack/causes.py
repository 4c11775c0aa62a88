"""Reads the last words of a process that failed, and guesses why."""

from __future__ import annotations

import json
import re
from collections import deque
from pathlib import Path

from kirana.stack.home import Home

LINES = 20

_KNOWN = (
    (r"address already in use|eaddrinuse", "another program took its port", "kirana down && kirana up"),
    (r"no space left on device|enospc", "the disk is full", "kirana doctor"),
    (r"permission denied|eacces", "it may not read or write one of its files", "kirana doctor"),
    (r"out of memory|cannot allocate memory", "the machine is out of memory", "kirana doctor"),
    (r"no module named", "the package in .venv is older than the code", "make up"),
    (r"access_refused|password authentication failed|wrongpass", "its password is not the server's", "kirana reset"),
    (r"precondition_failed", "a queue or exchange exists with other settings", "kirana reset"),
    (r"not usable:", "a setting is missing or wrong", "kirana doctor"),
)


def last_lines(home: Home, program: str) -> tuple[str, ...]:
    """The end of what the program wrote: its terminal's log, and its log spool if the former is silent."""
    written = _tail(home.log / f"{program}.log")
    if len(written) < LINES:
        instance = program if program[-1:].isdigit() or program == "mail-sink" else f"{program}-1"
        written = [*_readable(_tail(home.root / "spool" / f"{instance}.jsonl")), *written]
    return tuple(written[-LINES:])


def likely(lines: tuple[str, ...]) -> tuple[str, str]:
    """The likely cause and the next command."""
    text = "\n".join(lines).lower()
    for pattern, cause, mend in _KNOWN:
        if re.search(pattern, text):
            return cause, mend
    return "", "kirana doctor"


def _tail(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            return [line.rstrip() for line in deque(lines, LINES) if line.strip()]
    except OSError:
        return []


def _readable(lines: list[str]) -> list[str]:
    found = []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            found.append(line)
            continue
        error = entry.get("error", {})
        words = (entry.get("log.level") or entry.get("log", {}).get("level", ""), entry.get("message", ""))
        found.append(" ".join(str(word) for word in (*words, error.get("type", ""), error.get("message", "")) if word))
    return found
