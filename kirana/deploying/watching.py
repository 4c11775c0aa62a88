"""Judges the version on trial by what it tells of itself: its own metrics, beside those of the version before it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families

from shared.metrics.outcomes import FAILED, NOT_EXECUTED, UNKNOWN

ANSWER_SECONDS = 5.0
LOOK_SECONDS = 0.25
ENOUGH = 20
"""Fewer requests than this say nothing yet."""

HANGS_SECONDS = 15.0
"""For so long a version may have calls under way of which none ends well, answer nothing, or tell nothing of itself."""

_EDGE = "kirana_edge_request_seconds_count"
_SERVICE = "kirana_rpc_run_seconds_count"
_UNDER_WAY = "kirana_rpc_in_flight"
_BAD = frozenset({FAILED, NOT_EXECUTED, UNKNOWN})


@dataclass(frozen=True)
class Tally:
    """Requests or calls that ended since the process began, and how many of them it failed at; those it runs now."""

    total: int = 0
    failed: int = 0
    under_way: int = 0

    def since(self, before: Tally) -> Tally:
        """What came in between; a process that began anew counts from nothing."""
        if self.total < before.total:
            return self
        return Tally(self.total - before.total, self.failed - before.failed, self.under_way)

    def __add__(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(self.total + other.total, self.failed + other.failed, self.under_way + other.under_way)

    @property
    def rate(self) -> float:
        """The share that failed."""
        return self.failed / self.total if self.total else 0.0

    @property
    def is_vain(self) -> bool:
        """There was work, and none of it has ended well."""
        return self.failed == self.total and self.total + self.under_way > 0


@dataclass(frozen=True)
class Policy:
    """``errors``: the share from which a version is bad, unless the one before it is as bad at the same time."""

    errors: float
    seconds: float
    enough: int = ENOUGH
    hangs: float = HANGS_SECONDS


@dataclass(frozen=True)
class Verdict:
    """``complaint`` is empty when nothing speaks against the version."""

    complaint: str
    canary: Tally
    main: Tally


def tally_at(url: str) -> Tally:
    """Read a process's own metrics. Raises ``httpx.HTTPError`` or ``ValueError`` when it does not tell."""
    with httpx.Client(timeout=ANSWER_SECONDS, trust_env=False) as client:
        answer = client.get(url).raise_for_status()
    return tally_of(answer.text)


def tally_of(text: str) -> Tally:
    """What these metrics say: an edge's answers of 500 and above, a service's calls that ended without an answer."""
    found = Tally()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in {_EDGE, _SERVICE}:
                bad = sample.labels.get("status", "").startswith("5") or sample.labels.get("outcome") in _BAD
                found += Tally(int(sample.value), int(sample.value) if bad else 0)
            elif sample.name == _UNDER_WAY and sample.labels.get("side") == "server":
                found += Tally(under_way=int(sample.value))
    return found


class Watch:
    """Looks at both versions again and again. ``is_well`` gives a complaint about the canary's process, or nothing."""

    def __init__(self, canary: str, mains: Sequence[str], *, is_well: Callable[[], str]) -> None:
        self._canary = canary
        self._mains = mains
        self._is_well = is_well

    def judge(self, policy: Policy, *, meanwhile: Callable[[], bool], heard: Callable[[Tally], None]) -> Verdict:
        """Watch for the policy's time, or until there is a complaint. ``meanwhile`` asks it something at every look.

        A version that answers or tells nothing just then is watched for longer: until it does, or has been silent for
        too long.
        """
        before = _look(self._canary) or Tally(), _all(self._mains)
        well_until = told_at = answered_at = time.monotonic()
        give_up = well_until + policy.seconds
        while True:
            answered = meanwhile()
            told = _look(self._canary)
            canary, main = (told or Tally()).since(before[0]), _all(self._mains).since(before[1])
            heard(canary)
            now = time.monotonic()
            well_until = well_until if told is None or canary.is_vain else now
            told_at = told_at if told is None else now
            answered_at = now if answered else answered_at
            complaint = self._is_well() or complaint_about(canary, main, policy)
            complaint = complaint or silence_of(now - answered_at, now - told_at, policy)
            if now >= min(give_up, well_until + policy.hangs):
                complaint = complaint or hang_of(canary, main)
            if complaint or (now >= give_up and answered and told is not None):
                return Verdict(complaint, canary, main)
            time.sleep(LOOK_SECONDS)


def _look(url: str) -> Tally | None:
    """``None`` when it does not tell."""
    try:
        return tally_at(url)
    except (httpx.HTTPError, ValueError):
        return None


def _all(urls: Sequence[str]) -> Tally:
    """Who does not tell has nothing said for or against it."""
    return sum((_look(url) or Tally() for url in urls), Tally())


def complaint_about(canary: Tally, main: Tally, policy: Policy) -> str:
    """Empty while the canary fails no more than is allowed, or no more than the version before it does."""
    if canary.total < policy.enough or canary.rate <= policy.errors or canary.rate <= 2 * main.rate:
        return ""
    return f"{canary.failed} of {canary.total} failed ({canary.rate:.1%}), beside {main.rate:.1%} before it"


def silence_of(unanswered: float, untold: float, policy: Policy) -> str:
    """Empty while it has answered, and told of itself, not long ago; both in seconds."""
    if untold >= policy.hangs:
        return f"it has told nothing of itself for {untold:.0f} s"
    if unanswered >= policy.hangs:
        return f"it has answered nothing for {unanswered:.0f} s"
    return ""


def hang_of(canary: Tally, main: Tally) -> str:
    """Empty while a call has ended well, or none is under way, or the version before it fares no better."""
    if not canary.under_way or not canary.is_vain or main.is_vain:
        return ""
    ended = "and none has ended" if not canary.total else f"and all {canary.total} that ended failed"
    return f"{canary.under_way} calls are under way in the new version {ended}"
