"""Chooses one of several instances: pure arithmetic over what is known of each of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

FEW = 8
"""Up to so many, all are compared; of more, two drawn ones (the power of two choices: Mitzenmacher, 1996)."""

MOST_OVER_MEAN = 1.25
"""How much more than its share an instance may carry before a hash leads to the next one (bounded loads:
Mirrokni, Thorup, Zadimoghaddam, 2017)."""

_HASHES = 2**64


@dataclass(slots=True)
class Candidate:
    """One instance as a balancer sees it. ``weight`` is above zero; ``outstanding`` counts requests under way."""

    id: str
    weight: float = 1.0
    outstanding: int = 0


class Dice(Protocol):
    """A source of randomness: ``random.Random`` or a fake."""

    def random(self) -> float:
        """A number from 0 up to but not including 1."""
        ...


class Balancer(Protocol):
    """Gives the place of the chosen one. ``candidates`` is never empty; ``key`` is what a hash goes by."""

    def choose(self, candidates: Sequence[Candidate], key: bytes) -> int:
        """The index of one of them."""
        ...


class RoundRobin:
    """In turn, the heavier more often and evenly spread (the smooth weighted round-robin of nginx)."""

    def __init__(self) -> None:
        self._credit: dict[str, float] = {}

    def choose(self, candidates: Sequence[Candidate], key: bytes) -> int:
        """The one that has waited longest for its share."""
        del key
        credit = {one.id: self._credit.get(one.id, 0.0) + one.weight for one in candidates}
        chosen = max(range(len(candidates)), key=lambda place: credit[candidates[place].id])
        credit[candidates[chosen].id] -= sum(one.weight for one in candidates)
        self._credit = credit
        return chosen


class LeastOutstanding:
    """The one with the least to do for its weight; among equals, a drawn one."""

    def __init__(self, dice: Dice) -> None:
        self._dice = dice

    def choose(self, candidates: Sequence[Candidate], key: bytes) -> int:
        """Compares all of a few, two of many."""
        del key
        count = len(candidates)
        if count == 1:
            return 0
        places = range(count) if count <= FEW else self._two_of(candidates)
        lowest = math.inf
        best: list[int] = []
        for place in places:
            load = (candidates[place].outstanding + 1) / candidates[place].weight
            if load < lowest:
                lowest, best = load, [place]
            elif load == lowest:
                best.append(place)
        return best[int(self._dice.random() * len(best))]

    def _two_of(self, candidates: Sequence[Candidate]) -> tuple[int, int]:
        """Two different ones."""
        first = int(self._dice.random() * len(candidates))
        second = int(self._dice.random() * (len(candidates) - 1))
        return first, second + (second >= first)


class Rendezvous:
    """The same key leads to the same instance; when one goes, only its own keys move (weighted rendezvous hashing)."""

    def choose(self, candidates: Sequence[Candidate], key: bytes) -> int:
        """The best by hash that does not carry much more than its share already."""
        total = sum(one.outstanding for one in candidates) + 1
        weights = sum(one.weight for one in candidates)
        ranked = sorted(range(len(candidates)), key=lambda place: -_score(candidates[place], key))
        for place in ranked:
            one = candidates[place]
            if one.outstanding < math.ceil(MOST_OVER_MEAN * total * one.weight / weights):
                return place
        return ranked[0]


def share_of(key: bytes) -> float:
    """Where in [0, 1) this key lies; the same in every process."""
    return int.from_bytes(blake2b(key, digest_size=8).digest()) / _HASHES


def _score(candidate: Candidate, key: bytes) -> float:
    drawn = int.from_bytes(blake2b(key, digest_size=8, key=blake2b(candidate.id.encode()).digest()).digest())
    return -candidate.weight / math.log((drawn + 1) / (_HASHES + 1))
