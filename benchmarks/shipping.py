"""Tells how fast the shipper catches up, and what a request feels of it while Elasticsearch is away.

``PYTHONPATH=. python -m benchmarks.shipping`` needs nothing but this machine: the stand-in of the tests takes the
lines, so the first figure is the shipper's own limit, not Elasticsearch's. With ``--requests`` the local stack (begun
without a shipper) is asked, too: in each round without a shipper, with one whose Elasticsearch is there, and with one
whose Elasticsearch is away; every second round in the opposite order. It tells by how many milliseconds the p99 of
requests is longer while Elasticsearch is away than while it is there: the median of the rounds' differences, the least
and the most. Before each measurement all lines are shipped, so that none has to catch up for another.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import wrk
from benchmarks.processes import end_on_sigterm
from kirana.stack import state
from tests.builders.elasticsearch import Elasticsearch
from tests.builders.shippers import Nursery
from tests.builders.spooled import Writers

LINES = 200_000
SECONDS = 6
CLIENTS = 2
ROUNDS = 8
KINDS = ("no shipper", "there", "away")
NOBODY = "http://127.0.0.1:9"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", action="store_true", help="measure requests to the running local stack, too")
    parser.add_argument(
        "--clients",
        type=int,
        default=CLIENTS,
        help="with --requests: so many ask, each when it has its answer; few, as on full processors the p99 tells "
        "mostly how long a request waits for the others (default: %(default)s)",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=ROUNDS,
        help=f"with --requests: of {SECONDS} s for each kind (default: %(default)s)",
    )
    options = parser.parse_args()
    end_on_sigterm()
    _catch_up()
    if options.requests:
        _requests(options.clients, options.rounds)


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


def _requests(clients: int, rounds: int) -> None:
    wrk.ensure_wrk()
    stack = state.load()
    url = f"{stack.edge_url}/health/live"
    found: dict[str, list[wrk.Measured]] = {kind: [] for kind in KINDS}
    with Elasticsearch() as elasticsearch:
        for number in range(rounds):
            for kind in in_order(number):
                _ship_all(stack.spool, elasticsearch.url)
                there = elasticsearch.url if kind == "there" else NOBODY
                found[kind].append(_measured(url, stack.spool, clients, None if kind == "no shipper" else there))
    for kind, runs in found.items():
        p50, p99 = (statistics.median(getattr(run, name) for run in runs) for name in ("p50_ms", "p99_ms"))
        rate, failed = statistics.median(run.requests_per_second for run in runs), sum(run.failed for run in runs)
        print(f"{kind:12} {rate:8,.0f} requests/s, p50 {p50:6.2f} ms, p99 {p99:6.2f} ms, medians; {failed} failed")
    there_ms, away_ms = ([run.p99_ms for run in found[kind]] for kind in ("there", "away"))
    print(f"{clients} clients: away, p99 differs by {difference(there_ms, away_ms)}")


def _ship_all(spool: Path, elasticsearch: str) -> None:
    with Nursery(spool, elasticsearch) as nursery:
        nursery.start_and_wait()
        nursery.drain()


def in_order(number: int) -> Sequence[str]:
    """The kinds of a round: those that are compared follow each other, and neither always comes first."""
    return KINDS if number % 2 == 0 else KINDS[::-1]


def difference(there: Sequence[float], away: Sequence[float]) -> str:
    """Only what was measured right after each other is compared: the machine's own speed changes."""
    found = sorted(one - other for one, other in zip(away, there, strict=True))
    return f"{statistics.median(found):+.2f} ms ({found[0]:+.2f} to {found[-1]:+.2f}), median of {len(found)} rounds"


def _measured(url: str, spool: Path, clients: int, elasticsearch: str | None) -> wrk.Measured:
    if elasticsearch is None:
        return wrk.run(url, clients=clients, seconds=SECONDS)
    with Nursery(spool, elasticsearch, KIRANA_SHIPPER_DRAIN_SECONDS="1") as nursery:
        nursery.start_and_wait()
        time.sleep(1)  # the first tries are over
        return wrk.run(url, clients=clients, seconds=SECONDS)


if __name__ == "__main__":
    main()
