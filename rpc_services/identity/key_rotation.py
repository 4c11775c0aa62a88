"""When a signing key is made, used, retired and forgotten: published ahead, and kept until its tokens are dead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

KeyState = Literal["next", "current", "retiring"]

SIGN_FOR = timedelta(days=90)
PUBLISH_AHEAD = timedelta(hours=1)
"""Longer than anybody caches the key set."""

RETIRE_FOR = timedelta(hours=1)
"""Longer than an access token lives."""


@dataclass(frozen=True)
class KnownKey:
    """A key pair by its id, and since when it is in its state."""

    kid: str
    state: KeyState
    since: datetime


@dataclass(frozen=True)
class Step:
    """Put this key (``None``: a new one) into this state (``None``: forget it)."""

    kid: str | None
    state: KeyState | None


def next_step(keys: Sequence[KnownKey], at: datetime) -> Step | None:
    """The one thing to do now; ask again after it is done, until there is nothing."""
    current = next((key for key in keys if key.state == "current"), None)
    upcoming = next((key for key in keys if key.state == "next"), None)
    if current is None:
        return Step(upcoming.kid if upcoming else None, "current")
    if upcoming is None:
        return Step(None, "next")
    if at - current.since >= SIGN_FOR and at - upcoming.since >= PUBLISH_AHEAD:
        return Step(current.kid, "retiring")
    dead = (key for key in keys if key.state == "retiring" and at - key.since >= RETIRE_FOR)
    return next((Step(key.kid, None) for key in dead), None)
