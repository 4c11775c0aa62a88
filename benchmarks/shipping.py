"""Tells how fast the shipper catches up, and what a request feels of it while Elasticsearch is away.

``PYTHONPATH=. python -m benchmarks.shipping`` needs nothing but this machine: the stand-in of the tests takes the
lines, so the first figure is the shipper's own limit, not Elasticsearch's. With ``--requests`` the local stack (begun
without a shipper) is asked in turn with no shipper, with one that ships, and with one whose Elasticsearch is away.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks import wrk
from kirana.stack import state
from tests.builders.elasticsearch import Elasticsearch
from tests.builders.shippers import Nursery
from tests.builders.spooled import Writers

LINES = 200_000
ROUNDS = 5
SECONDS = 6
CLIENTS = 16
KINDS = ("no shipper", "shipping", "away")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", action="store_true", help="measure requests to the running local stack, too")
    wanted = parser.parse_args()
    _catch_up()
    if wanted.requests:
        _requests()


def _catch_up() -> None:
    with tempfile.TemporaryDirectory() as folder, Elasticsearch() as elasticsearch:
        spool = Path(folder) / "spool"
        Writers(spool, "edge-1", "order-1", "catalog-1").write(LINES)
        with Nursery(spool, elasticsearch.url) as nursery:
            nursery.start_and_wait()
            begun, before = time.perf_counter(), nursery.cpu_seconds
            while nursery.settled() < LINES:
                time.sleep(0.05)
            seconds, used = time.perf_counter() - begun, nursery.cpu_seconds - before
            nursery.drain()
    print(f"caught up with {LINES / seconds:,.0f} lines/s; {used / LINES * 1e6:.1f} us of a processor for each")


def _requests() -> None:
    wrk.ensure_wrk()
    stack = state.load()
    url = f"{stack.edge_url}/health/live"
    found: dict[str, list[wrk.Measured]] = {kind: [] for kind in KINDS}
    with Elasticsearch() as elasticsearch:
        for _ in range(ROUNDS):
            for kind in KINDS:
                there = elasticsearch.url if kind == "shipping" else "http://127.0.0.1:9"
                found[kind].append(_measured(url, stack.spool, None if kind == "no shipper" else there))
    for kind, runs in found.items():
        p50, p99 = (statistics.median(getattr(run, name) for run in runs) for name in ("p50_ms", "p99_ms"))
        rate = statistics.median(run.requests_per_second for run in runs)
        print(f"{kind:12} {rate:8,.0f} requests/s, p50 {p50:6.2f} ms, p99 {p99:6.2f} ms, median of {ROUNDS} runs")


def _measured(url: str, spool: Path, elasticsearch: str | None) -> wrk.Measured:
    if elasticsearch is None:
        return wrk.run(url, clients=CLIENTS, seconds=SECONDS)
    with Nursery(spool, elasticsearch, KIRANA_SHIPPER_DRAIN_SECONDS="1") as nursery:
        nursery.start_and_wait()
        time.sleep(1)  # the first tries are over
        return wrk.run(url, clients=CLIENTS, seconds=SECONDS)


if __name__ == "__main__":
    main()
