"""Remembers who was refused until when: a window that is full stays full, so Redis need not be asked again."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from edge.limiting.limits import Limit, Taken, Verdict
from edge.policies import RateClass

MOST_REFUSED = 10_000


class _Refusal(NamedTuple):
    until: float
    rates: list[RateClass]
    verdicts: list[Verdict]
    resets: list[float]


class Refusals:
    """By the windows asked about; moments are seconds of one monotonic clock. The oldest are forgotten first."""

    def __init__(self) -> None:
        self._refusals: OrderedDict[tuple[str, ...], _Refusal] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._refusals)

    def note(
        self, keys: tuple[str, ...], limits: Sequence[Limit], verdicts: list[Verdict], *, taken: Taken, asked_at: float
    ) -> None:
        """Redis refused: at the earliest at ``asked_at``, so there is surely no room before its seconds from then."""
        resets = [asked_at + reset for _, reset in taken.left]
        until = max(reset for reset, verdict in zip(resets, verdicts, strict=True) if not verdict.allowed)
        self._refusals[keys] = _Refusal(until, [one.rate for one in limits], verdicts, resets)
        if len(self._refusals) > MOST_REFUSED:
            self._refusals.popitem(last=False)

    def find(self, keys: tuple[str, ...], limits: Sequence[Limit], now: float) -> list[Verdict] | None:
        """The verdicts again, if nothing can have changed; not after the rates did."""
        refusal = self._refusals.get(keys)
        if refusal is None:
            return None
        if now >= refusal.until or refusal.rates != [one.rate for one in limits]:
            del self._refusals[keys]
            return None
        return [
            verdict._replace(reset=max(1, math.ceil(reset - now)))
            for verdict, reset in zip(refusal.verdicts, refusal.resets, strict=True)
        ]
