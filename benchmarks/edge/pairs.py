"""Figures that are to be compared, taken right after each other: this machine's own speed changes within seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.edge import measuring
from benchmarks.edge.measuring import Step
from benchmarks.edge.rungs import ASKED, CACHED, SHED
from benchmarks.edge.setting import BARE_ASKING, BARE_SAME
from benchmarks.promises import Promise, spread

HIT_SHARE = 0.5
ADDED_P50_MS = 1.0
ADDED_P99_MS = 10.0
P99_MS_OF_A_HIT = 10.0
TURNED_AWAY_SHARE = 0.05
DIRECT = "the call alone"
SECONDS = 2.0
"""Of each measurement at half load: fewer than a hundred requests have no 99th percentile."""

Measuring = Callable[[], Mapping[str, Any]]


@dataclass
class Pairs:
    """All rounds of the ways that are compared, in order: each round's figures belong together."""

    rounds: list[dict[str, Mapping[str, Any]]] = field(default_factory=list)

    def each(self, way: str, figure: str) -> list[float]:
        """One figure of each round."""
        return [float(one[way][figure]) for one in self.rounds]

    def shares(self, way: str, of: str, figure: str) -> list[float]:
        """How much of the other's it is, in each round."""
        return [one / other for one, other in zip(self.each(way, figure), self.each(of, figure), strict=True)]

    def added(self, way: str, to: str, figure: str) -> list[float]:
        """By how much it exceeds the other's, in each round."""
        return [one - other for one, other in zip(self.each(way, figure), self.each(to, figure), strict=True)]

    def failed(self) -> int:
        """Requests of all rounds that had no good answer."""
        return sum(int(run.get("failed", 0)) for one in self.rounds for run in one.values())


def measured(ways: Mapping[str, Measuring], rounds: int) -> Pairs:
    """Every way in each round; each other round goes backwards, so that none always follows the same one."""
    pairs = Pairs()
    for number in range(rounds):
        names = list(ways) if number % 2 else list(ways)[::-1]
        pairs.rounds.append({name: ways[name]() for name in names})
    return pairs


@dataclass(frozen=True)
class SideBySide:
    """``crowd``: a cache hit and bare Sanic, as fast as they can. ``hits``: the same two at half of a hit's load.

    ``calls``, at half of its own load: the uncached read, the same call behind bare Sanic by itself, and Sanic alone.
    """

    crowd: Pairs
    hits: Pairs
    calls: Pairs

    def failed(self) -> int:
        """Requests that had no good answer."""
        return sum(pairs.failed() for pairs in (self.crowd, self.hits, self.calls))


def side_by_side(
    steps: Mapping[str, Step], environment: Mapping[str, str], rates: Mapping[str, float], *, rounds: int
) -> SideBySide:
    """``rates`` are half loads by step, in requests per second."""

    def crowded(name: str) -> Measuring:
        return lambda: measuring.closed(steps[name], SECONDS, warm_up=0)

    def at(rate: float, name: str) -> Measuring:
        return lambda: measuring.opened(steps[name], rate, SECONDS)

    asked, hit = rates[ASKED.name], rates[CACHED.name]
    calls: dict[str, Measuring] = {name: at(asked, name) for name in (BARE_SAME, BARE_ASKING, ASKED.name)}
    return SideBySide(
        crowd=measured({name: crowded(name) for name in (BARE_SAME, CACHED.name)}, rounds),
        hits=measured({name: at(hit, name) for name in (BARE_SAME, CACHED.name)}, rounds),
        calls=measured({DIRECT: lambda: measuring.direct(environment, asked, SECONDS), **calls}, rounds),
    )


def judged(seen: SideBySide, by: Mapping[str, Mapping[str, Any]]) -> Iterator[Promise]:
    """What the edge is to reach, and what this run saw; ``by`` has the ladder's figures by step."""
    hit = median(seen.crowd.shares(CACHED.name, BARE_SAME, "requests_per_second"))
    what = "a cache hit's share of bare Sanic's requests/s"
    yield Promise(what, hit, HIT_SHARE, at_least=True, failed=seen.failed())
    p99 = median(seen.hits.each(CACHED.name, "p99_ms"))
    yield Promise("64 connections at half load, p99 of a cache hit in ms", p99, P99_MS_OF_A_HIT, at_least=False)
    for text, to in (("the call", DIRECT), ("the call behind bare Sanic", BARE_ASKING)):
        for figure, bound in (("p50_ms", ADDED_P50_MS), ("p99_ms", ADDED_P99_MS)):
            added = median(seen.calls.added(ASKED.name, to, figure))
            what = f"half load, {figure.removesuffix('_ms')} in ms that the edge adds to {text}"
            yield Promise(what, added, bound, at_least=False)
    share = by[SHED.name]["all_us"] / by[ASKED.name]["all_us"]
    what = "CPU of turning away at the door, as a share of an uncached read's"
    yield Promise(what, share, TURNED_AWAY_SHARE, at_least=False)


def told(seen: SideBySide) -> Iterator[str]:
    """The same and their like with the least and the most."""
    yield f"a cache hit: {spread(seen.crowd.shares(CACHED.name, BARE_SAME, 'requests_per_second'))} of {BARE_SAME}"
    for figure in ("p50_ms", "p99_ms"):
        for name in (CACHED.name, BARE_SAME):
            yield f"as fast as they can, {figure} of {name}: {spread(seen.crowd.each(name, figure))}"
            yield f"half load of a hit, {figure} of {name}: {spread(seen.hits.each(name, figure))}"
        for name in (ASKED.name, BARE_ASKING, DIRECT, BARE_SAME):
            yield f"half load of a call, {figure} of {name}: {spread(seen.calls.each(name, figure))}"
        for to in (DIRECT, BARE_ASKING):
            yield f"half load of a call, {figure} more than {to}: {spread(seen.calls.added(ASKED.name, to, figure))}"
