"""Latencies in few words."""

from __future__ import annotations

from collections.abc import Sequence


def summary(seconds: Sequence[float]) -> dict[str, float]:
    """Median, 99th percentile and worst, in milliseconds; zero for nothing."""
    ordered = sorted(seconds) or [0.0]
    places = {"p50_ms": len(ordered) // 2, "p99_ms": int(0.99 * len(ordered)), "max_ms": len(ordered) - 1}
    return {name: round(ordered[place] * 1000, 2) for name, place in places.items()}
