"""What frames are to be worth, and whether a run reached it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from benchmarks.promises import Promise

Runs = Mapping[tuple[str, int], list[dict[str, Any]]]
"""The rounds of each way and number of clients, in order."""

CROWDS = (64, 256)
TIMES_A_MESSAGE_PER_CALL = 4.0
TIMES_STOCK = 4.0
P50_OF_ONE_CLIENT = 1.1
P99_MS_OF_SIXTEEN = 15.0
P99_BESIDE_A_SLOW_CALL = 1.25
"""Unmoved, as far as a machine tells whose own speed changes from one second to the next."""


def judged(runs: Runs) -> list[Promise]:
    """Those of which something was measured. Rounds are compared with their neighbours in time only."""
    failed = sum(run["failed"] for rounds in runs.values() for run in rounds)
    return [replace(promise, failed=failed) for promise in _judged(runs)]


def judged_beside_a_slow_call(ratios: Sequence[float], overtaken: int) -> list[Promise]:
    """Of quick calls beside a slow one: of each round their p99 to that without, and how often all came before it."""
    share = overtaken / len(ratios)
    return [
        Promise("beside a slow call, times the p99 without it", median(ratios), P99_BESIDE_A_SLOW_CALL, at_least=False),
        Promise("share of rounds in which all came before the slow call", share, 1.0, at_least=True),
    ]


def ratios(runs: Runs, way: str, other: str, clients: int, *, of: str) -> list[float]:
    """One of each round."""
    return [one[of] / another[of] for one, another in zip(runs[way, clients], runs[other, clients], strict=True)]


def _judged(runs: Runs) -> Iterable[Promise]:
    measured = {clients for _, clients in runs}
    for clients in sorted(measured.intersection(CROWDS)):
        for other, name, bound in (
            ("singles", "a message per call", TIMES_A_MESSAGE_PER_CALL),
            ("stock", "stock Nameko", TIMES_STOCK),
        ):
            times = median(ratios(runs, "lanes", other, clients, of="requests_per_second"))
            yield Promise(f"{clients} clients, times the requests/s of {name}", times, bound, at_least=True)
    if 1 in measured:
        times = median(ratios(runs, "lanes", "singles", 1, of="p50_ms"))
        yield Promise("1 client, times the p50 of a message per call", times, P50_OF_ONE_CLIENT, at_least=False)
    if 16 in measured:
        p99 = median(run["p99_ms"] for run in runs["lanes", 16])
        yield Promise("16 clients, p99 in ms", p99, P99_MS_OF_SIXTEEN, at_least=False)
