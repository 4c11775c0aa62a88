"""Times: aware UTC inside, RFC 3339 with ``Z`` outside."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""The time of day, aware UTC: a collaborator, so that tests can set it."""


def now() -> datetime:
    """The present, aware UTC."""
    return datetime.now(UTC)


def to_rfc3339(moment: datetime) -> str:
    """Microseconds, UTC, ``Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def from_rfc3339(text: str) -> datetime:
    """The inverse of :func:`to_rfc3339`. Raises ``ValueError``."""
    return datetime.fromisoformat(text)
