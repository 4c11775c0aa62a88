"""``make bench-rpc``: requests per second and latency through Sanic, RabbitMQ and one service, in one run."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from typing import Any

import httpx
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks import wrk
from benchmarks.processes import end_on_sigterm, running, wait_for
from benchmarks.promises import check, spread
from benchmarks.rpc import company, promises
from benchmarks.rpc.edge import MODES, PRODUCTS
from tests.builders.rabbitmq import Rabbit
from tests.builders.servers import free_port

CONCURRENCIES = (1, 16, 64, 256)
DISTINCT = 1_000_000
"""No two requests ask for the same product, or equal reads would share a call."""

RESULTS = Path(__file__).parents[1] / "results"
WARM_UP_SECONDS = 1
TITLES = {"lanes": "frames", "singles": "a message per call", "stock": "stock Nameko, aiormq"}


@dataclass(frozen=True)
class Running:
    """One way through: its edge, its service and the broker."""

    mode: str
    url: str
    processes: dict[str, psutil.Process]


def main() -> None:
    """Measure every way in turn, one right after the other, so that whatever else the machine does meets them all."""
    options = _options()
    end_on_sigterm()
    if options.slow_call or options.poison:
        _show_bad_company(options)
        return
    wrk.ensure_wrk()
    with Rabbit() as rabbit, ExitStack() as stack:
        environment = {**os.environ, "KIRANA_AMQP_URL": rabbit.url, "PYTHONPATH": "."}
        kirana, stock = (
            stack.enter_context(running("benchmarks.rpc.service", kind, environment=environment))
            for kind in ("kirana", "stock")
        )
        ways = [
            stack.enter_context(_way(mode, stock if mode == "stock" else kirana, rabbit, environment)) for mode in MODES
        ]
        runs = [
            _measure(way, clients, options.seconds) | {"round": number}
            for clients in options.clients
            for number in range(options.rounds)
            for way in _in_turn(ways, number)
        ]
    _show(_middle_rounds(runs))
    rounds = _by_way(runs)
    _show_ratios(rounds)
    told = promises.judged(rounds)
    print(*told, sep="\n")
    print(f"Written to {_write(runs, options)}")
    if options.check:
        check(told)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2, help="per way, number of clients and round (default: 2)")
    parser.add_argument("--clients", type=int, nargs="+", default=CONCURRENCIES, help="default: %(default)s")
    parser.add_argument(
        "--rounds", type=int, default=6, help="medians of so many are shown (default: 6, an order of the ways each)"
    )
    parser.add_argument(
        "--check", action="store_true", help="exit status 1 unless some figure was judged, and each reached"
    )
    parser.add_argument("--slow-call", action="store_true", help="instead: p99 of a thousand quick calls beside one")
    parser.add_argument("--poison", action="store_true", help="instead: p99 of calls beside a stream of poison")
    parser.add_argument("--strangers", type=int, default=50, help="with --poison: messages per second (default: 50)")
    options = parser.parse_args()
    if options.check and options.poison:
        parser.error("--check judges what frames are worth, and --slow-call: not --poison")
    return options


def _show_bad_company(options: argparse.Namespace) -> None:
    with Rabbit() as rabbit:
        environment = {**os.environ, "KIRANA_AMQP_URL": rabbit.url, "PYTHONPATH": "."}
        with running("benchmarks.rpc.service", "kirana", environment=environment):
            if options.slow_call:
                beside = asyncio.run(company.beside_a_slow_call(rabbit.url, rounds=options.rounds))
                told = promises.judged_beside_a_slow_call(beside.ratios, beside.overtaken)
                print(beside, *told, sep="\n")
                if options.check:
                    check(told)
            if options.poison:
                stream = {"rounds": options.rounds, "seconds": options.seconds, "per_second": options.strangers}
                print(asyncio.run(company.beside_poison(rabbit.url, **stream)))


@contextmanager
def _way(mode: str, service: psutil.Process, rabbit: Rabbit, environment: dict[str, str]) -> Iterator[Running]:
    port = free_port()
    with running("benchmarks.rpc.edge", mode, str(port), environment=environment) as edge:
        url = f"http://127.0.0.1:{port}"
        wait_for(f"{url}{PRODUCTS}1")
        yield Running(mode, url, {"edge": edge, "service": service, "broker": _beam(rabbit)})


def _beam(rabbit: Rabbit) -> psutil.Process:
    """The broker itself, below the scripts that start it."""
    started = psutil.Process(rabbit.process.pid)
    return next(one for one in [started, *started.children(recursive=True)] if one.name().startswith("beam"))


def _measure(way: Running, clients: int, seconds: float) -> dict[str, Any]:
    wrk.run(f"{way.url}{PRODUCTS}", clients=clients, seconds=WARM_UP_SECONDS, counted=DISTINCT)
    batches_before = _batches(way)
    before = {name: process.cpu_times() for name, process in way.processes.items()}
    measured = wrk.run(f"{way.url}{PRODUCTS}", clients=clients, seconds=seconds, counted=DISTINCT)
    used = {name: process.cpu_times() for name, process in way.processes.items()}
    microseconds = {
        name: round(1e6 * (sum(used[name][:2]) - sum(before[name][:2])) / max(1, measured.requests)) for name in used
    }
    run = {
        "way": way.mode,
        "clients": clients,
        **asdict(measured),
        "cpu_us_per_request": microseconds,
        "memory_mib": {name: round(process.memory_info().rss / 2**20) for name, process in way.processes.items()},
        "batches": {str(size): n for size, n in sorted((_batches(way) - batches_before).items())},
    }
    print(f"{TITLES[way.mode]:22} x{clients:<3} {run['requests_per_second']:>9,.0f}/s", file=sys.stderr)
    return run


def _in_turn(ways: list[Running], number: int) -> Sequence[Running]:
    """All orders, one after the other: none always comes first, or always right after the one that heats most."""
    orders = list(permutations(ways))
    return orders[number % len(orders)]


def _batches(way: Running) -> Counter[int]:
    return Counter({int(size): n for size, n in httpx.get(f"{way.url}/batches").json().items()})


def _middle_rounds(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each way and number of clients, the round with the median throughput."""
    return [
        sorted(group, key=lambda run: run["requests_per_second"])[len(group) // 2] for group in _by_way(runs).values()
    ]


def _show(runs: list[dict[str, Any]]) -> None:
    table = Table(
        "way",
        "clients",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "failed",
        "CPU µs (edge+service+broker)",
        "MiB",
        "calls/frame",
    )
    for run in sorted(runs, key=lambda run: (run["clients"], MODES.index(run["way"]))):
        cpu, memory = (
            " + ".join(str(part) for part in run[name].values()) for name in ("cpu_us_per_request", "memory_mib")
        )
        table.add_row(
            TITLES[run["way"]],
            str(run["clients"]),
            f"{run['requests_per_second']:,.0f}",
            f"{run['p50_ms']:.2f}",
            f"{run['p99_ms']:.2f}",
            str(run["failed"]),
            cpu,
            memory,
            _spread(run["batches"]),
        )
    Console().print(table)


def _spread(batches: dict[str, int]) -> str:
    """Median and largest, by calls."""
    sizes = sorted(int(size) for size, n in batches.items() for _ in range(n))
    return f"{sizes[len(sizes) // 2]} (≤ {sizes[-1]})" if sizes else ""


def _by_way(runs: list[dict[str, Any]]) -> promises.Runs:
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for run in sorted(runs, key=lambda run: run["round"]):
        groups.setdefault((run["way"], run["clients"]), []).append(run)
    return groups


def _show_ratios(runs: promises.Runs) -> None:
    """Only what was measured within the same seconds is compared: the machine's own speed changes between rounds."""
    for clients in sorted({clients for _, clients in runs}):
        print(
            f"{clients:>3} clients: {_ratio(runs, 'singles', clients)} x a message per call, "
            f"{_ratio(runs, 'stock', clients)} x stock; p50 {_ratio(runs, 'singles', clients, of='p50_ms')} x"
        )


def _ratio(runs: promises.Runs, other: str, clients: int, *, of: str = "requests_per_second") -> str:
    return spread(promises.ratios(runs, "lanes", other, clients, of=of))


def _write(runs: list[dict[str, Any]], options: argparse.Namespace) -> Path:
    RESULTS.mkdir(exist_ok=True)
    at = datetime.now(UTC)
    document = {
        "benchmark": "rpc",
        "at": at.isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "seconds": options.seconds,
        "rounds": options.rounds,
        "runs": runs,
    }
    path = RESULTS / f"rpc-{at:%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    main()
