"""What a limit is, what it says of one request, and how a client is told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edge.policies import RateClass


@dataclass(frozen=True, slots=True, eq=False)
class Limit:
    """A rate class as one route applies it. ``name`` is what clients read; made once per route, when it is loaded."""

    name: str
    rate: RateClass

    def key(self, who: str) -> str:
        """The window of ``who`` under this limit; routes with limits of one name share it."""
        return f"window:{self.name}:{who}"


class Check(NamedTuple):
    """One window to ask: at most ``quota`` in any ``window`` seconds."""

    key: str
    quota: int
    window: int


class Asked:
    """Requests that meet in one tick and fall under the same windows. ``seats`` are in order of arrival.

    All windows of a request are charged or none is.
    """

    __slots__ = ("checks", "seats")

    def __init__(self, checks: tuple[Check, ...]) -> None:
        self.checks = checks
        self.seats: list[asyncio.Future[Taken]] = []


class Taken(NamedTuple):
    """How many of those who asked are within all their limits: the first so many.

    ``left`` has for each check how many more would be, and in how many seconds there is room for one more than that.
    """

    admitted: int
    left: Sequence[tuple[int, float]]


class Verdict(NamedTuple):
    """What one limit says to one request; ``reset`` is in seconds until there is more room."""

    name: str
    quota: int
    window: int
    allowed: bool
    remaining: int
    reset: int


class LimitsAway(Exception):
    """Redis is away, and a limit of this route rather refuses than guesses. Nothing was charged."""


def limit_headers(verdicts: Sequence[Verdict]) -> dict[str, str]:
    """The headers of draft-ietf-httpapi-ratelimit-headers (revision 10): two lists of structured fields (RFC 9651)."""
    if not verdicts:
        return {}
    return {
        "ratelimit-policy": ", ".join([f'"{one.name}";q={one.quota};w={one.window}' for one in verdicts]),
        "ratelimit": ", ".join([f'"{one.name}";r={one.remaining};t={one.reset}' for one in verdicts]),
    }
