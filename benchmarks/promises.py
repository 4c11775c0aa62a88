"""What a benchmark is to reach, and whether a run of it did."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Promise:
    """One of them; ``reached`` is the median of the rounds, of whose requests so many ``failed``."""

    text: str
    reached: float
    bound: float
    at_least: bool
    failed: int = 0

    @property
    def is_kept(self) -> bool:
        """Whether this run reached it. What failed was not served, however fast: then it shows nothing."""
        if self.failed:
            return False
        return self.reached >= self.bound if self.at_least else self.reached <= self.bound

    def __str__(self) -> str:
        sign = "at least" if self.at_least else "at most"
        failed = f"; {self.failed} requests failed" if self.failed else ""
        return f"{'✓' if self.is_kept else '✗'} {self.text}: {self.reached:.2f} ({sign} {self.bound:g}){failed}"


def are_kept(told: Collection[Promise]) -> bool:
    """Whether this run shows that they are: one of which nothing was judged shows nothing."""
    return bool(told) and all(promise.is_kept for promise in told)


def check(told: Sequence[Promise]) -> None:
    """End with status 1 unless something was judged, and each was reached."""
    if not are_kept(told):
        raise SystemExit(1)


def spread(figures: Sequence[float]) -> str:
    """The median of the rounds, and the least and the most."""
    return f"{median(figures):.2f} ({min(figures):.2f} to {max(figures):.2f})"
