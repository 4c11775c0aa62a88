"""Reads moments and durations as people type them, and writes durations as people read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_EXPECTED = "a duration such as 90s, 5m, 2h or 1d is expected."
_STAMP = "%Y-%m-%dT%H:%M:%S.%fZ"


def parse_ago(text: str) -> timedelta:
    """Read ``250ms``, ``90s``, ``5m``, ``2h`` or ``1d``. Raises ``ValueError``."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(_EXPECTED)
    try:
        return timedelta(**{_UNITS[found[2]]: float(found[1])})
    except OverflowError:
        raise ValueError(_EXPECTED) from None


def parse_moment(text: str, *, now: datetime) -> datetime:
    """Read how long ago (``5m``), a time of today (``13:08``, UTC), or a moment by ISO 8601. Raises ``ValueError``."""
    if _DURATION.fullmatch(text):
        return now - parse_ago(text)
    if re.fullmatch(r"\d\d:\d\d(:\d\d)?", text):
        text = f"{now:%Y-%m-%d}T{text}"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("a duration such as 90s, 5m, 2h or 1d, or a time such as 13:08 is expected.") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def stamp(moment: datetime) -> str:
    """As moments stand in the lines, so that their texts can be compared."""
    return moment.strftime(_STAMP)


def shown(duration: timedelta) -> str:
    """Short, with the digits that matter: ``0.4 ms``, ``32 ms``, ``5.02 s``."""
    milliseconds = duration / timedelta(milliseconds=1)
    if milliseconds < 10:  # noqa: PLR2004 - from here on tenths are noise
        return f"{milliseconds:.1f} ms"
    if milliseconds < 1000:  # noqa: PLR2004 - a second
        return f"{milliseconds:.0f} ms"
    return f"{milliseconds / 1000:,.2f} s"
