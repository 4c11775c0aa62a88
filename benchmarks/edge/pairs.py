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


def crowds(steps: Mapping[str, Step], *, rounds: int, seconds: float) -> Pairs:
    """A cache hit and bare Sanic, as fast as they can."""

    def way(name: str) -> Measuring:
        return lambda: measuring.closed(steps[name], seconds, warm_up=0)

    return measured({name: way(name) for name in (BARE_SAME, CACHED.name)}, rounds)


def at_half_load(steps: Mapping[str, Step], environment: Mapping[str, str], rate: float, *, rounds: int) -> Pairs:
    """The uncached call through the edge, behind bare Sanic, by itself, and what bare Sanic takes for nothing."""

    def way(name: str) -> Measuring:
        return lambda: measuring.opened(steps[name], rate, SECONDS)

    ways: dict[str, Measuring] = {name: way(name) for name in (BARE_SAME, BARE_ASKING, ASKED.name)}
    return measured({DIRECT: lambda: measuring.direct(environment, rate, SECONDS), **ways}, rounds)


def judged(crowd: Pairs, half: Pairs, by: Mapping[str, Mapping[str, Any]]) -> Iterator[Promise]:
    """What the edge is to reach, and what this run saw; ``by`` has the ladder's figures by step."""
    hit = median(crowd.shares(CACHED.name, BARE_SAME, "requests_per_second"))
    yield Promise(
        "a cache hit's share of bare Sanic's requests/s", hit, HIT_SHARE, at_least=True, failed=crowd.failed()
    )
    p99 = median(crowd.each(CACHED.name, "p99_ms"))
    yield Promise("64 connections, p99 of a cache hit in ms", p99, P99_MS_OF_A_HIT, at_least=False)
    for text, to in (("the call", DIRECT), ("the call behind bare Sanic", BARE_ASKING)):
        for figure, bound in (("p50_ms", ADDED_P50_MS), ("p99_ms", ADDED_P99_MS)):
            added = median(half.added(ASKED.name, to, figure))
            what = f"half load, {figure.removesuffix('_ms')} in ms that the edge adds to {text}"
            yield Promise(what, added, bound, at_least=False, failed=half.failed())
    share = by[SHED.name]["all_us"] / by[ASKED.name]["all_us"]
    what = "CPU of turning away at the door, as a share of an uncached read's"
    yield Promise(what, share, TURNED_AWAY_SHARE, at_least=False)


def told(crowd: Pairs, half: Pairs) -> Iterator[str]:
    """The same and their like with the least and the most."""
    yield f"a cache hit: {spread(crowd.shares(CACHED.name, BARE_SAME, 'requests_per_second'))} of {BARE_SAME}"
    for name in (CACHED.name, BARE_SAME):
        yield f"p99 of {name}: {spread(crowd.each(name, 'p99_ms'))} ms"
    for figure in ("p50_ms", "p99_ms"):
        for name in (ASKED.name, BARE_ASKING, DIRECT, BARE_SAME):
            yield f"half load, {figure} of {name}: {spread(half.each(name, figure))}"
        for to in (DIRECT, BARE_ASKING):
            yield f"half load, {figure} more than {to}: {spread(half.added(ASKED.name, to, figure))}"
