"""What became of one thing that had to be there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Done(Enum):
    """What had to be done for it."""

    MADE = "made"
    CHANGED = "changed"
    WRITTEN = "written"
    NOTHING = "unchanged"


@dataclass(frozen=True)
class Outcome:
    """``name`` is the thing, as an operator calls it."""

    name: str
    done: Done
