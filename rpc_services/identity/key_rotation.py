"""When a signing key is made, used, retired and forgotten: published ahead, and kept until its tokens are dead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

KeyState = Literal["next", "current", "retiring"]
Algorithm = Literal["RS256", "ES256", "EdDSA"]

ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)

SIGN_FOR = timedelta(days=90)
PUBLISH_AHEAD = timedelta(hours=1)
"""Longer than anybody caches the key set."""

RETIRE_FOR = timedelta(hours=1)
"""Longer than an access token lives."""


@dataclass(frozen=True)
class KnownKey:
    """A key pair by its id, and since when it is in its state. ``is_due`` says that it shall be replaced early."""

    kid: str
    state: KeyState
    since: datetime
    algorithm: Algorithm = "RS256"
    is_due: bool = False


@dataclass(frozen=True)
class Step:
    """Put this key (``None``: a new one) into this state (``None``: forget it)."""

    kid: str | None
    state: KeyState | None


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How new keys sign, and how long they are published before they do."""

    algorithm: Algorithm = "RS256"
    publish_ahead: timedelta = PUBLISH_AHEAD

    def next_step(self, keys: Sequence[KnownKey], at: datetime) -> Step | None:
        """The one thing to do now; ask again after it is done, until there is nothing.

        Where the algorithm was changed, the key that waits with the old one is replaced, and the new one takes over as
        soon as it has been published long enough.
        """
        current = _one(keys, "current")
        upcoming = _one(keys, "next")
        if current is None:
            return Step(upcoming.kid if upcoming else None, "current")
        if upcoming is None:
            return Step(None, "next")
        if upcoming.algorithm != self.algorithm:
            return Step(upcoming.kid, None)
        if self.turns_at(current, upcoming) <= at:
            return Step(current.kid, "retiring")
        dead = (key for key in keys if key.state == "retiring" and at - key.since >= RETIRE_FOR)
        return next((Step(key.kid, None) for key in dead), None)

    def turns_at(self, current: KnownKey, upcoming: KnownKey) -> datetime:
        """When the upcoming key takes over."""
        is_due = current.is_due or current.algorithm != upcoming.algorithm
        published = upcoming.since + self.publish_ahead
        return published if is_due else max(published, current.since + SIGN_FOR)


def _one(keys: Sequence[KnownKey], state: KeyState) -> KnownKey | None:
    return next((key for key in keys if key.state == state), None)
