"""Tells what a log line costs on the way of a request, against the most that it may: the canonical line of each side.

Each is written as its process writes it: with what is bound to the request, to the spool and to a standard output that
another process reads. Beside them the straightforward way, and what of it is writing. The best of many short rounds
in one run counts, so that the figures hold on a busy machine too. Exit status 1 when a line costs too much.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import timeit
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

from shared.logs import configure
from shared.logs.context import bind_request
from shared.logs.spool import Spool
from tests.unit.shared.logs.straightforward import StraightforwardRenderer

MOST_MICROSECONDS = 15.0
TIMES = 40
ROUNDS = 1500
TURN = 20
"""Lines of one turn of a busy edge's loop, which go to the file together."""

FACTS = {
    "service.name": "catalog",
    "service.node.name": "catalog-1",
    "service.environment": "local",
    "service.version": "0.1.0",
    "event.dataset": "kirana.catalog",
    "process.pid": 4711,
}
BOUND = {
    "http.request.id": "018f3a2e-7a3b-7c4d-8e5f-0123456789ab",
    "trace.id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "span.id": "00f067aa0ba902b7",
    "user.id": "018f3a2e-7a3b-7c4d-8e5f-ba9876543210",
    "parent_span_id": "b7ad6b7169203331",
}


def of_service(method: Callable[..., None]) -> None:
    """The line of a call, as ``shared/nameko_ext/serving.py`` writes it."""
    method(
        "rpc.call",
        method="catalog.get_product",
        code=None,
        reason=None,
        redelivered=False,
        batch_size=64,
        queue_ns=123456,
        **{"event.duration": 98765, "event.outcome": "success"},
    )


def of_edge(method: Callable[..., None]) -> None:
    """The line of a request, as ``edge/stages/log_access.py`` writes it."""
    method(
        "http.request",
        route="get_product",
        routes="37855a9f138d",
        code=None,
        reason=None,
        **{
            "http.request.method": "GET",
            "url.path": "/api/products/018f3a2e-7a3b-7c4d-8e5f-0123456789ab",
            "http.response.status_code": 200,
            "event.duration": 1234567,
            "event.outcome": "success",
        },
    )


class _EveryMethod:
    """What structlog calls with a finished line when it is set up as its manual says."""

    name = None

    def __init__(self, spool: Spool) -> None:
        self.info = spool.write


class _Turns:
    """Stands for the edge's loop: calls back after so many lines, as a turn of it would."""

    def __init__(self) -> None:
        self._waiting: list[Callable[[], object]] = []
        self._lines = 0

    def call_soon(self, work: Callable[[], object]) -> None:
        self._waiting.append(work)

    def line(self) -> None:
        self._lines += 1
        if self._lines % TURN == 0:
            for work in self._waiting:
                work()
            self._waiting.clear()


def main() -> int:
    """Measure and print; the exit status."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, _reader() as stdout:
        straightforward = _straightforward(Path(folder) / "plain.jsonl", stdout)
        service, below = _in_service(Path(folder), stdout)
        edge = _in_edge(Path(folder), stdout)
        line = (Path(folder) / "catalog-1.jsonl").read_bytes().splitlines(keepends=True)[-1]
        file, pipe = _writing(Path(folder) / "alone.jsonl", line, stdout)
    print(f"a request's line in the edge       {edge:6.2f} us")
    print(f"a call's line in a service         {service:6.2f} us, {straightforward / service:.1f} times as fast as")
    print(f"  structlog as its manual says     {straightforward:6.2f} us")
    print(f"  of it the write to the file      {file:6.2f} us for {len(line)} bytes")
    print(f"  of it the write to stdout        {pipe:6.2f} us")
    print(f"a line below the level             {below:6.2f} us")
    worst = max(edge, service)
    print(f"{'met' if worst < MOST_MICROSECONDS else 'NOT MET'}: {worst:.1f} us of {MOST_MICROSECONDS:.0f} us")
    return 0 if worst < MOST_MICROSECONDS else 1


@contextmanager
def _reader() -> Iterator[int]:
    """A pipe that a process of its own reads empty, as a supervisor or a container's engine does."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as reader:
        assert reader.stdin is not None
        yield reader.stdin.fileno()
        reader.stdin.close()


def _straightforward(path: Path, stdout: int) -> float:
    spool = Spool(path, stdout=stdout)
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, StraightforwardRenderer(FACTS)],
        wrapper_class=structlog.make_filtering_bound_logger(20),
        logger_factory=lambda: _EveryMethod(spool),
        cache_logger_on_first_use=True,
    )
    log = structlog.get_logger()
    structlog.contextvars.bind_contextvars(**BOUND)
    best = _best(lambda: of_service(log.info))
    structlog.contextvars.clear_contextvars()
    spool.close()
    return best


def _in_service(folder: Path, stdout: int) -> tuple[float, float]:
    """Of a line that is written, and of one that the level filters out."""
    spool = configure(service="catalog", instance="catalog-1", spool=folder, stdout=stdout)
    log: Any = structlog.get_logger()
    bind_request(dict(BOUND))
    best = _best(lambda: of_service(log.info)), _best(lambda: of_service(log.debug))
    spool.close()
    return best


def _in_edge(folder: Path, stdout: int) -> float:
    spool = configure(service="edge", instance="edge-1", spool=folder, stdout=stdout)
    log: Any = structlog.get_logger()
    turns = _Turns()
    spool.gather(turns.call_soon)
    bind_request(dict(BOUND))

    def work() -> None:
        of_edge(log.info)
        turns.line()

    best = _best(work)
    spool.close()
    return best


def _writing(path: Path, line: bytes, stdout: int) -> tuple[float, float]:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    best = _best(lambda: os.write(descriptor, line)), _best(lambda: os.write(stdout, line))
    os.close(descriptor)
    return best


def _best(work: Callable[[], Any]) -> float:
    return min(timeit.repeat(work, number=TIMES, repeat=ROUNDS)) / TIMES * 1e6


if __name__ == "__main__":
    sys.exit(main())
