"""Tells what becomes of the shop at three times what it can do: goodput, latency of the admitted, who was refused.

The load is open: requests are sent when they are due, whether or not earlier ones were answered, and latency counts
from that moment. Reads and orders go to the same service, so that they compete.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import cast

import httpx
import psutil
import uvloop

from kirana.journey.load import request_bytes, run_load
from kirana.stack import state
from kirana.stack.state import StackState

CUSTOMERS = 8
CONNECTIONS = 1500
ORDER_EVERY = 20
PLENTY = 1_000_000
WARM_UP = 3.0
READ, ORDER = "read", "order"
HEAD_END = b"\r\n\r\n"

NextRequest = Callable[[], tuple[str, bytes]]


@dataclass
class Seen:
    """Seconds from when a request was due to its answer, by kind and status."""

    answers: dict[tuple[str, int], list[float]] = field(default_factory=dict)
    unsent: Counter[str] = field(default_factory=Counter)

    def take(self, kind: str, status: int, seconds: float) -> None:
        """One answer; status 0 is none."""
        self.answers.setdefault((kind, status), []).append(seconds)

    def good(self, *kinds: str) -> list[float]:
        """The seconds of those that were served, in order."""
        return sorted(
            seconds
            for (kind, status), every in self.answers.items()
            if kind in kinds and status < 300
            for seconds in every
        )

    def success(self, kind: str) -> float:
        """The share of those asked for that were served."""
        asked = sum(len(every) for (each, _), every in self.answers.items() if each == kind) + self.unsent[kind]
        return len(self.good(kind)) / asked if asked else 0.0

    def refused(self) -> list[float]:
        """The seconds of those that were told to come back, in order."""
        return sorted(seconds for (_, status), every in self.answers.items() if status == 503 for seconds in every)


class Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self, free: Callable[[Connection], None], seen: Seen) -> None:
        self._free = free
        self._seen = seen
        self._buffer = bytearray()
        self._asked: tuple[str, float] | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready to ask."""
        self.transport = cast("asyncio.Transport", transport)

    def ask(self, kind: str, request: bytes, due: float) -> None:
        """Send it."""
        assert self.transport is not None
        self._asked = (kind, due)
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Count the answer when it is whole."""
        self._buffer += data
        end = self._buffer.find(HEAD_END)
        if end < 0 or self._asked is None:
            return
        head = bytes(self._buffer[:end]).lower()
        length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]) if b"content-length:" in head else 0
        if len(self._buffer) < end + 4 + length:
            return
        kind, due = self._asked
        self._seen.take(kind, int(head[9:12]), time.perf_counter() - due)
        del self._buffer[: end + 4 + length]
        self._asked = None
        if b"connection: close" not in head:
            self._free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever was waiting is told nothing."""
        del exc
        if self._asked is not None:
            self._seen.take(self._asked[0], 0, time.perf_counter() - self._asked[1])


class Pool:
    """Opens a connection whenever none is free, up to a limit."""

    def __init__(self, url: str, seen: Seen) -> None:
        host, port = url.removeprefix("http://").split(":")
        self._place = (host, int(port))
        self._seen = seen
        self._free: deque[Connection] = deque()
        self._opened = 0

    async def take(self) -> Connection | None:
        """A free connection, if there may be one."""
        while self._free:
            connection = self._free.popleft()
            if connection.transport is not None and not connection.transport.is_closing():
                return connection
            self._opened -= 1
        if self._opened >= CONNECTIONS:
            return None
        self._opened += 1
        made = partial(Connection, self._free.append, self._seen)
        return (await asyncio.get_running_loop().create_connection(made, *self._place))[1]


async def offer(url: str, rate: float, seconds: float, next_request: NextRequest) -> Seen:
    """Send ``rate`` requests per second. What finds no free connection counts as not answered."""
    seen = Seen()
    pool = Pool(url, seen)
    began = time.perf_counter()
    for number in range(int(rate * seconds)):
        due = began + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        kind, request = next_request()
        connection = await pool.take()
        if connection is None:
            seen.unsent[kind] += 1
        else:
            connection.ask(kind, request, due)
    await asyncio.sleep(2.0)
    return seen


def main() -> None:
    """Find the capacity, look at the shop below it, then at three times as much."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=None, help="of the stack; the usual one unless given")
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--times", type=float, default=3.0, help="the overload, in capacities")
    options = parser.parse_args()
    stack = state.load(options.home) if options.home else state.load()
    requests = _requests(stack)
    url = stack.edge_url
    edge = _edge_workers(url)
    only_reads = [lambda: _read(requests)] * 24
    uvloop.run(run_load(url, only_reads, WARM_UP))
    peak = uvloop.run(run_load(url, [lambda: next(requests)[1]] * 24, 6.0)).summary()
    capacity = peak["requests_per_second"] * (1 - peak["failed"] / peak["requests"])
    print(f"capacity            {capacity:8.0f}/s  p99 {peak['p99_ms']:.0f} ms, statuses {peak['statuses']}")
    normal, normal_cpu = _phase(url, 0.6 * capacity, options.seconds, requests, edge)
    p99 = _show("normal (0.6)", normal, options.seconds)
    uvloop.run(offer(url, options.times * capacity, WARM_UP, lambda: next(requests)))
    over, over_cpu = _phase(url, options.times * capacity, options.seconds, requests, edge)
    over_p99 = _show(f"overload ({options.times:g})", over, options.seconds)
    goodput = len(over.good(READ, ORDER)) / options.seconds
    print(f"goodput {goodput / capacity:.0%} of capacity; p99 of the admitted {over_p99 / p99:.2f} x normal")
    each = normal_cpu / max(1, len(normal.good(READ, ORDER)))
    shed = (over_cpu - each * len(over.good(READ, ORDER))) / max(1, len(over.refused()))
    print(f"edge CPU: {each * 1e6:.0f} us for a served request, {shed * 1e6:.0f} us for a refused one")


def _phase(
    url: str, rate: float, seconds: float, requests: Iterator[tuple[str, bytes]], edge: list[psutil.Process]
) -> tuple[Seen, float]:
    before = _cpu(edge)
    seen = uvloop.run(offer(url, rate, seconds, lambda: next(requests)))
    return seen, _cpu(edge) - before


def _show(name: str, seen: Seen, seconds: float) -> float:
    good, refused = seen.good(READ, ORDER), seen.refused()
    p99 = good[int(0.99 * len(good))] if good else 0.0
    statuses = Counter({status: 0 for _, status in seen.answers})
    for (_, status), every in seen.answers.items():
        statuses[status] += len(every)
    late = f", refusals p99 {refused[int(0.99 * len(refused))] * 1000:.0f} ms" if refused else ""
    print(
        f"{name:19} {len(good) / seconds:8.0f}/s  p50 {good[len(good) // 2] * 1000:.0f} p99 {p99 * 1000:.0f} ms, "
        f"success: orders {seen.success(ORDER):.1%}, reads {seen.success(READ):.1%}{late}, "
        f"statuses {dict(statuses)}, unsent {sum(seen.unsent.values())}"
    )
    return p99


def _requests(stack: StackState) -> Iterator[tuple[str, bytes]]:
    """Reads of a customer's orders, and now and then an order."""
    with httpx.Client(base_url=stack.edge_url, timeout=15) as shop:
        admin = {"Authorization": f"Bearer {_log_in(shop, stack.admin_username, stack.admin_password)}"}
        category = shop.get("/api/categories").raise_for_status().json()[0]["id"]
        goods = {"name": "Load biscuits", "description": "For load only.", "price": "1.00", "stock": PLENTY}
        made = [
            shop.post("/api/products", json={**goods, "category_id": category}, headers=admin).raise_for_status()
            for _ in range(50)
        ]
        ids = [one.json()["id"] for one in made]
        tokens = [_customer(shop) for _ in range(CUSTOMERS)]
    reads = itertools.cycle(
        [
            request_bytes("GET", stack.edge_url, "/api/orders?limit=1", headers={"Authorization": f"Bearer {token}"})
            for token in tokens
        ]
    )
    return _mixed(stack.edge_url, reads, itertools.cycle(tokens), itertools.cycle(ids))


def _mixed(url: str, reads: Iterator[bytes], tokens: Iterator[str], ids: Iterator[int]) -> Iterator[tuple[str, bytes]]:
    for number in itertools.count(1):
        if number % ORDER_EVERY:
            yield READ, next(reads)
        else:
            headers = {"Authorization": f"Bearer {next(tokens)}", "Idempotency-Key": secrets.token_hex(16)}
            body = {"items": [{"product_id": next(ids), "quantity": 1}]}
            yield ORDER, request_bytes("POST", url, "/api/orders", body=body, headers=headers)


def _read(requests: Iterator[tuple[str, bytes]]) -> bytes:
    return next(request for kind, request in requests if kind == READ)


def _customer(shop: httpx.Client) -> str:
    name, password = f"load-{secrets.token_hex(6)}", secrets.token_urlsafe(15)
    body = {"username": name, "password": password, "password2": password, "email": f"{name}@example.com"}
    shop.post("/api/users", json=body).raise_for_status()
    return _log_in(shop, name, password)


def _log_in(shop: httpx.Client, name: str, password: str) -> str:
    answer = shop.post("/api/token", json={"username": name, "password": password})
    return str(answer.raise_for_status().json()["access"])


def _edge_workers(url: str) -> list[psutil.Process]:
    """The processes that listen there, to ask for their CPU time."""
    port = int(url.rsplit(":", 1)[1])
    pids = {one.pid for one in psutil.net_connections("tcp") if one.laddr and one.laddr.port == port and one.pid}
    return [psutil.Process(pid) for pid in pids]


def _cpu(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


if __name__ == "__main__":
    main()
