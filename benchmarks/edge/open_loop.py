"""``python -m benchmarks.edge.open_loop URL RATE SECONDS [--counted N] [--header NAME:VALUE ...]``.

Sends each request when it is due, over 64 kept-alive connections, and counts its latency from that moment: a server
that stops for a while is charged for every request that came meanwhile. Prints figures as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import Counter, deque
from contextlib import suppress
from functools import partial
from itertools import cycle
from typing import Any
from urllib.parse import urlsplit

import uvloop

from benchmarks.edge.percentiles import summary
from kirana.journey.load import request_bytes
from shared.garbage import leave_out_what_lives

CONNECTIONS = 64
DRAIN_SECONDS = 5.0
HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length:"
GOOD = range(200, 400)


class Load:
    """What is due and finds no free connection waits for one, with its clock running."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.is_over = asyncio.Event()
        self._offered: int | None = None
        self._free: deque[_Connection] = deque()
        self._due: deque[tuple[float, bytes]] = deque()

    def offer(self, due: float, request: bytes) -> None:
        """One more request."""
        self._due.append((due, request))
        self._match()

    def is_free(self, connection: _Connection) -> None:
        """It has its answer, or was just made."""
        self._free.append(connection)
        self._match()

    def answered(self, status: int, seconds: float) -> None:
        """One less."""
        self.statuses[status] += 1
        self.latencies.append(seconds)
        self._look()

    def ends(self, offered: int) -> None:
        """No more will come than so many; when all are answered it is over."""
        self._offered = offered
        self._look()

    def told(self, offered: int) -> dict[str, Any]:
        """``failed`` counts whatever has no good answer: refused, broken, or never answered."""
        good = sum(count for status, count in self.statuses.items() if status in GOOD)
        return {**summary(self.latencies), "offered": offered, "failed": offered - good}

    def _look(self) -> None:
        if len(self.latencies) == self._offered:
            self.is_over.set()

    def _match(self) -> None:
        while self._due and self._free:
            self._free.popleft().ask(*self._due.popleft())


class _Connection(asyncio.Protocol):
    def __init__(self, load: Load) -> None:
        self._load = load
        self._received = b""
        self._due = 0.0
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._load.is_free(self)

    def ask(self, due: float, request: bytes) -> None:
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(HEAD_END)
        if end < 0:
            return
        head = self._received[:end].lower()
        at = head.find(LENGTH)
        length = int(head[at + len(LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._received) >= end + len(HEAD_END) + length:
            self._load.answered(int(head[9:12]), time.perf_counter() - self._due)
            self._received = b""
            self._load.is_free(self)

    def close(self) -> None:
        self._transport.abort()


async def _run(options: argparse.Namespace) -> dict[str, Any]:
    parts = urlsplit(options.url)
    headers = dict(header.split(":", 1) for header in options.header)
    paths = [f"{parts.path}{number}" for number in range(1, options.counted + 1)] if options.counted else [parts.path]
    requests = cycle([request_bytes("GET", options.url, path, headers=headers) for path in paths])
    load, loop, offered = Load(), asyncio.get_running_loop(), int(options.rate * options.seconds)
    connections = [
        (await loop.create_connection(partial(_Connection, load), parts.hostname, parts.port))[1]
        for _ in range(CONNECTIONS)
    ]
    leave_out_what_lives()  # or the generator's own pauses count as the edge's
    began = time.perf_counter()
    for number in range(offered):
        due = began + number / options.rate
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        load.offer(due, next(requests))
        if not number % 16:
            await asyncio.sleep(0)  # one that is late must not keep the answers waiting
    load.ends(offered)
    with suppress(TimeoutError):
        await asyncio.wait_for(load.is_over.wait(), DRAIN_SECONDS)
    for connection in connections:
        connection.close()
    return load.told(offered)


def main() -> None:
    """Offer the load once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("rate", type=float, help="requests per second")
    parser.add_argument("seconds", type=float)
    parser.add_argument("--counted", type=int, help="put the numbers from 1 to this behind the URL in turn")
    parser.add_argument("--header", action="append", default=[])
    print(json.dumps(uvloop.run(_run(parser.parse_args()))))


if __name__ == "__main__":
    main()
