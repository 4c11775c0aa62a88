"""Writes our own commands as they can be typed here: ``kirana`` is on nobody's PATH in a fresh checkout."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

_COMMAND = re.compile(r"(?<![\w/.-])kirana(?= [a-z])")


def as_typed(text: str) -> str:
    """``text`` with every ``kirana <verb>`` in it made one that this terminal finds."""
    return _COMMAND.sub(lambda _: _ours(), text)


def _ours() -> str:
    here = Path(sys.executable).with_name("kirana")
    found = shutil.which("kirana")
    if not here.exists() or (found and Path(found).resolve() == here.resolve()):
        return "kirana"
    near = os.path.relpath(here)
    return str(here) if near.startswith("..") else near
