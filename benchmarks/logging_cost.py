"""Tells what the canonical line of an RPC call costs: the fast way beside the straightforward one, to one spool.

Everything is measured in one run, the best of many short rounds, so that the ratio holds on a busy machine too.
"""

from __future__ import annotations

import tempfile
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from shared.logs import configure
from shared.logs.spool import Spool
from tests.unit.shared.logs.straightforward import StraightforwardRenderer

TIMES = 2_000
ROUNDS = 80
FACTS = {
    "service.name": "catalog",
    "service.node.name": "catalog-1",
    "service.environment": "local",
    "event.dataset": "kirana.catalog",
    "process.pid": 4711,
}


class _EveryMethod:
    """What structlog calls with a finished line when it is set up as its manual says."""

    name = None

    def __init__(self, spool: Spool) -> None:
        self.info = spool.write


def main() -> None:
    """Measure and print."""
    structlog.contextvars.bind_contextvars(**{"http.request.id": "01J9ZK3M5N6P7Q8R9S0T", "user.id": "018f3a2e-7a3b-7c"})
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        spool = Spool(Path(folder) / "plain.jsonl", stdout=None)
        structlog.configure(
            processors=[structlog.contextvars.merge_contextvars, StraightforwardRenderer(FACTS)],
            wrapper_class=structlog.make_filtering_bound_logger(20),
            logger_factory=lambda: _EveryMethod(spool),
            cache_logger_on_first_use=True,
        )
        before, below_before = _microseconds(structlog.get_logger())
        configure(service="catalog", instance="catalog-1", spool=Path(folder), stdout=None)
        after, below_after = _microseconds(structlog.get_logger())
        line = (Path(folder) / "catalog-1.jsonl").read_bytes().splitlines(keepends=True)[-1]
        written = _best(lambda: spool.write(line))
    print(f"a line, straightforward     {before:6.2f} us")
    print(f"a line, as configured       {after:6.2f} us, {before / after:.1f} times as fast")
    print(f"of it the write             {written:6.2f} us for {len(line)} bytes")
    print(f"a line below the level      {below_before:6.2f} us, as configured {below_after:.2f} us")


def _microseconds(log: Any) -> tuple[float, float]:
    """Of a line that is written, and of one that the level filters out."""

    def say(method: Callable[..., None]) -> None:
        method(
            "rpc.call",
            method="catalog.get_product",
            code=None,
            redelivered=False,
            batch_size=64,
            queue_ns=123456,
            **{"event.duration": 98765, "event.outcome": "success"},
        )

    return _best(lambda: say(log.info)), _best(lambda: say(log.debug))


def _best(work: Callable[[], Any]) -> float:
    return min(timeit.repeat(work, number=TIMES, repeat=ROUNDS)) / TIMES * 1e6


if __name__ == "__main__":
    main()
