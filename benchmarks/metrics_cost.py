"""Tells what metrics cost a call: bound children beside others, and a guarded call beside itself without them.

Everything is measured in one run, the best of several rounds, so that the ratios hold on a busy machine too.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Awaitable, Callable
from typing import Any

from edge.rpc.calls import CallContext, Deadline, RpcReply
from edge.rpc.guard import Guard
from shared.contracts.catalog import GET_PRODUCT
from shared.metrics.counting import calling, running
from shared.metrics.outcomes import ANSWERED

TIMES = 100_000
ROUNDS = 7
MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"

_PLAIN = """
import timeit
from prometheus_client import CollectorRegistry, Counter, Histogram
registry = CollectorRegistry()
counter = Counter("a_total", "a", ["method"], registry=registry)
histogram = Histogram("a_seconds", "a", ["method"], registry=registry)
bound, observed = counter.labels("m").inc, histogram.labels("m").observe
for name, work in (
    ("counter, bound", bound), ("counter, labels() each time", lambda: counter.labels("m").inc()),
    ("histogram, bound", lambda: observed(0.003)),
):
    print(f"{name:32} {min(timeit.repeat(work, number=100_000, repeat=7)) * 10:6.2f} us")
"""


class Answering:
    """A client that answers at once."""

    async def call(self, *_: Any, **__: Any) -> RpcReply:
        """As quickly as can be."""
        return RpcReply(1)


def main() -> None:
    """Measure and print."""
    print("The client library, one process")
    print(_library({}))
    with tempfile.TemporaryDirectory() as folder:
        print("The client library, multiprocess mode")
        print(_library({MULTIPROCESS: folder}))
    print("Ours")
    count, serve = calling["catalog", "get_product"], running["catalog", "get_product"]
    _print("caller: outcome and seconds", _each(lambda: count.ended(ANSWERED, 0.003)))
    _print("caller: the same with its look-up", _each(lambda: calling["catalog", "get_product"].ended(ANSWERED, 0.003)))
    _print("service: queue and run", _each(lambda: (serve.queued(0.001), serve.ended(ANSWERED, 0.003))))
    print("\nA guarded call whose client answers at once")
    asyncio.run(_guarded())


async def _guarded() -> None:
    guard = Guard(Answering(), ["catalog"])
    context = CallContext(request_id="r", deadline=Deadline.after(3600), route="t")
    ways: dict[str, Callable[[], Awaitable[RpcReply]]] = {
        "without": lambda: guard._guarded(GET_PRODUCT, {}, context),  # noqa: SLF001 - the same without counting
        "with metrics": lambda: guard.call(GET_PRODUCT, {}, context=context),
    }
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, call in ways.items():
            began = time.perf_counter()
            for _ in range(TIMES // 10):
                await call()
            best[name] = min(best[name], (time.perf_counter() - began) / (TIMES // 10) * 1e6)
    for name, microseconds in best.items():
        _print(name, microseconds)
    print(f"added: {best['with metrics'] - best['without']:.2f} us, {best['with metrics'] / best['without']:.2f} times")


def _library(environment: dict[str, str]) -> str:
    return subprocess.run(
        [sys.executable, "-c", _PLAIN], env=os.environ | environment, capture_output=True, text=True, check=True
    ).stdout


def _each(work: Callable[[], Any]) -> float:
    return min(timeit.repeat(work, number=TIMES, repeat=ROUNDS)) / TIMES * 1e6


def _print(name: str, microseconds: float) -> None:
    print(f"{name:32} {microseconds:6.2f} us")


if __name__ == "__main__":
    main()
