"""Normal traffic beside ten thousand slow connections: ``python -m benchmarks.slow_clients`` (from the checkout).

An edge with two workers before services that are made up gets a steady stream of product reads, half of them on
connections of their own and half on kept ones: first alone, then while the swarm of ``tests/builders/swarm.py`` wants
more places than there are, of another edge on this machine and at last of this one. What the other edge's swarm does to
it is done by want of processors, not by slow clients. Requests are sent when they are due, not when the last one was
answered, and none twice.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from benchmarks.processes import end_on_sigterm
from tests.builders.waiting import eventually
from tests.integration.edge.life.running import AnEdge, one_answer, request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RESULTS = Path(__file__).with_name("results")
PATH = "/api/products/1"
PATIENCE_SECONDS = 10.0
STEADY_SECONDS = 12.0
"""By then the first slow clients have been cut off and come back, each in its own time."""

HELD = 0.6
"""Of the slow clients that there are, at least so many hold a connection: the others were cut off and are on their way.
"""

ASKED = ("success of at least 99 %", "p99 at most twice that without slow clients")

Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Traffic:
    """What became of the requests of one period."""

    name: str
    slow: int = 0
    seconds: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def figures(self) -> dict[str, object]:
        """For the table and the file."""
        ranked = sorted(self.seconds) or [0.0]
        total = len(self.seconds) + len(self.faults)
        return {
            "traffic": self.name,
            "slow_connections": self.slow,
            "requests": total,
            "success_percent": round(100 * len(self.seconds) / max(1, total), 2),
            "p50_ms": round(1000 * ranked[len(ranked) // 2], 2),
            "p99_ms": round(1000 * ranked[int(len(ranked) * 0.99)], 2),
            "faults": sorted(set(self.faults))[:10],
        }


class Clients:
    """Sends requests at a steady rate, at moments that are independent of each other."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._kept: list[Line] = []

    async def send(self, traffic: Traffic, *, rate: float, seconds: float) -> None:
        """So many requests a second, for so long."""
        until = time.monotonic() + seconds
        due = time.monotonic()
        running = set()
        while due < until:
            due += random.expovariate(rate)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            task = asyncio.create_task(self._one(traffic, due, is_kept=random.random() < 0.5))
            running.add(task)
            task.add_done_callback(running.discard)
        await asyncio.gather(*running)

    def close(self) -> None:
        """Let go of the kept connections."""
        for _, writer in self._kept:
            writer.close()

    async def _one(self, traffic: Traffic, due: float, *, is_kept: bool) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                status = await self._ask(is_kept=is_kept)
        except (OSError, EOFError, TimeoutError) as fault:
            traffic.faults.append(type(fault).__name__)
            return
        if status == 200:
            traffic.seconds.append(time.monotonic() - due)
        else:
            traffic.faults.append(str(status))

    async def _ask(self, *, is_kept: bool) -> int:
        line = self._usable() if is_kept else None
        line = line or await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = line
        writer.write(request(PATH) if is_kept else request(PATH, "Connection: close"))
        try:
            status, headers, _ = await one_answer(reader)
        except BaseException:
            writer.close()
            raise
        if is_kept and headers["connection"] == "keep-alive":
            self._kept.append(line)
        else:
            writer.close()
        return status

    def _usable(self) -> Line | None:
        while self._kept:
            reader, writer = self._kept.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return None


@contextmanager
def swarm(port: int, count: int) -> Iterator[Callable[[], int]]:
    """Slow clients in a process of their own; gives what tells how many connections they hold."""
    command = [sys.executable, "-m", "tests.builders.swarm", str(port), str(count)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    seen = [0]
    listening = threading.Thread(target=lambda: seen.extend(int(line) for line in process.stdout or ()))
    listening.start()
    try:
        yield lambda: seen[-1]
    finally:
        if process.stdin:
            process.stdin.close()
        process.wait(60)
        listening.join()


def main() -> None:
    """Measure, show, and write the figures down."""
    options = _options()
    end_on_sigterm()
    places = {"workers": 2, "connections": options.places}
    with AnEdge(**places) as edge:
        _measure(edge.port, Traffic("warming up"), options)
        runs = [_measure(edge.port, Traffic("alone"), options)]
        with AnEdge(**places) as other:
            runs.append(_beside(other.port, edge.port, Traffic("slow clients at another edge"), options))
        runs.append(_beside(edge.port, edge.port, Traffic("slow clients at this edge"), options))
    figures = [run.figures() for run in runs]
    _show(figures)
    print(f"Asked for: {'; '.join(ASKED)}. Written to {_write(figures, options)}")


def _beside(crowded: int, asked: int, traffic: Traffic, options: argparse.Namespace) -> Traffic:
    """Normal traffic at the port ``asked`` while the swarm is at the port ``crowded``."""
    with swarm(crowded, options.slow) as held:
        wanted = min(HELD * options.slow, 2 * options.places)
        eventually(lambda: held() >= wanted, within=120, what="so many slow connections")
        time.sleep(STEADY_SECONDS)
        _measure(asked, traffic, options)
        traffic.slow = held()
    return traffic


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slow", type=int, default=10_000, help="slow clients; seven in ten hold a connection")
    parser.add_argument("--places", type=int, default=4_000, help="connections that each of the two workers takes")
    parser.add_argument("--rate", type=float, default=150.0, help="normal requests per second")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each measurement")
    return parser.parse_args()


def _measure(port: int, traffic: Traffic, options: argparse.Namespace) -> Traffic:
    async def work() -> None:
        clients = Clients(port)
        await clients.send(traffic, rate=options.rate, seconds=options.seconds)
        clients.close()

    asyncio.run(work())
    return traffic


def _show(runs: list[dict[str, object]]) -> None:
    table = Table(*(name.replace("_", " ") for name in runs[0]), title="Slow clients")
    for run in runs:
        table.add_row(*(str(figure) for figure in run.values()))
    Console(width=160).print(table)


def _write(runs: list[dict[str, object]], options: argparse.Namespace) -> Path:
    RESULTS.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    path = RESULTS / f"slow-clients-{now:%Y%m%dT%H%M%SZ}.json"
    document = {
        "benchmark": "slow_clients",
        "at": now.isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "options": vars(options),
        "runs": runs,
    }
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    main()
