"""Tells how fast the shop is through the edge, beside a bare Sanic in the same run to compare machines by."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import secrets
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.processes import running, wait_for
from kirana.journey.load import NextRequest, request_bytes, run_load
from kirana.stack import processes, state
from kirana.stack.state import StackState

CONCURRENCIES = (1, 16, 64)
RESULTS = Path(__file__).parent / "results"
PRODUCTS = 100
PLENTY = 1_000_000
MAX_PER_LINE = 99
WARM_UP_SECONDS = 0.5

Sources = Callable[[int], list[NextRequest]]


@dataclass(frozen=True)
class Scenario:
    """A kind of request, and how to make a source of it for every connection."""

    name: str
    url: str
    sources: Sources


@dataclass(frozen=True)
class Goods:
    """What the load buys: its own products with plenty of stock, and its own customers."""

    product_ids: list[int]
    tokens: list[str]


def main() -> None:
    """Run every scenario and write the figures down."""
    options = _options()
    if options.bare:
        _serve_bare_sanic(options.bare)
        return
    stack = state.load()
    with _bare_sanic() as bare_url, _goods(stack) as goods:
        scenarios = _scenarios(stack.edge_url, bare_url, goods)
        runs = [
            _measure(scenario, concurrency, options.seconds, stack.home)
            for scenario in scenarios
            for concurrency in CONCURRENCIES
        ]
    _show(runs)
    _show_where_it_goes(runs)
    print(f"Written to {_write(runs)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="per scenario and concurrency")
    parser.add_argument("--bare", type=int, metavar="PORT", help=argparse.SUPPRESS)
    return parser.parse_args()


def _scenarios(edge: str, bare: str, goods: Goods) -> list[Scenario]:
    nothing = request_bytes("GET", bare, "/")
    return [
        Scenario("bare Sanic", bare, lambda count: [lambda: nothing] * count),
        Scenario("product get", edge, lambda count: [_product_gets(edge, goods) for _ in range(count)]),
        Scenario("cart add", edge, lambda count: [_cart_adds(edge, goods) for _ in range(count)]),
        Scenario("order place", edge, lambda count: [_orders(edge, goods, index) for index in range(count)]),
    ]


def _product_gets(edge: str, goods: Goods) -> NextRequest:
    requests = itertools.cycle([request_bytes("GET", edge, f"/api/products/{item}") for item in goods.product_ids])
    return lambda: next(requests)


def _cart_adds(edge: str, goods: Goods) -> NextRequest:
    """Guests: a new cart whenever the last one is full of every product."""

    def requests() -> Iterator[bytes]:
        while True:
            opened = httpx.post(f"{edge}/api/cart/items", json={"product_id": goods.product_ids[0], "quantity": 1})
            headers = {"X-Cart-Token": opened.headers["X-Cart-Token"]}
            for _ in range(MAX_PER_LINE - 1):
                for item in goods.product_ids:
                    body = {"product_id": item, "quantity": 1}
                    yield request_bytes("POST", edge, "/api/cart/items", body=body, headers=headers)

    prepared = requests()
    first = next(prepared)  # opens the cart before the clock starts
    chained = itertools.chain([first], prepared)
    return lambda: next(chained)


def _orders(edge: str, goods: Goods, index: int) -> NextRequest:
    token = goods.tokens[index % len(goods.tokens)]
    items = itertools.cycle(goods.product_ids[index % len(goods.product_ids) :] + goods.product_ids)

    def order() -> bytes:
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": secrets.token_hex(16)}
        body = {"items": [{"product_id": next(items), "quantity": 1}]}
        return request_bytes("POST", edge, "/api/orders", body=body, headers=headers)

    return order


def _measure(scenario: Scenario, concurrency: int, seconds: float, home: Path) -> dict[str, Any]:
    sources = scenario.sources(concurrency)
    uvloop.run(run_load(scenario.url, sources, WARM_UP_SECONDS))
    before = _worked(home)
    measured = uvloop.run(run_load(scenario.url, sources, seconds))
    worked = _worked(home)
    run = {"scenario": scenario.name, "concurrency": concurrency, **measured.summary()}
    answered = max(1.0, run["requests_per_second"] * seconds)
    run["cpu_us"] = {name: round(1e6 * (worked[name] - before[name]) / answered) for name in sorted(worked)}
    print(f"{scenario.name:12} x{concurrency:<3} {run['requests_per_second']:>9,.0f}/s", file=sys.stderr)
    return run


def _worked(home: Path) -> Counter[str]:
    """Seconds of CPU that each program of the stack has used, all of its processes together."""
    seconds: Counter[str] = Counter()
    for one in processes.of_stack(home):
        with suppress(psutil.NoSuchProcess):
            name, _, number = one.program.rpartition("-")
            seconds[name if number.isdigit() else one.program] += sum(psutil.Process(one.pid).cpu_times()[:2])
    return seconds


@contextmanager
def _goods(stack: StackState) -> Iterator[Goods]:
    """Products and customers for the load alone; the products are taken off sale afterwards."""
    with httpx.Client(base_url=stack.edge_url, timeout=15) as shop:
        admin = _log_in(shop, stack.admin_username, stack.admin_password)
        headers = {"Authorization": f"Bearer {admin}"}
        category = shop.get("/api/categories").raise_for_status().json()[0]["id"]
        ids = [_new_product(shop, headers, category) for _ in range(PRODUCTS)]
        try:
            yield Goods(ids, [_new_customer(shop) for _ in range(max(CONCURRENCIES) // 4)])
        finally:
            for item in ids:
                shop.delete(f"/api/products/{item}", headers=headers)


def _new_product(shop: httpx.Client, headers: dict[str, str], category: int) -> int:
    body = {
        "name": "Benchmark biscuits",
        "description": "For the load generator only.",
        "price": "1.00",
        "category_id": category,
        "stock": PLENTY,
    }
    return int(shop.post("/api/products", json=body, headers=headers).raise_for_status().json()["id"])


def _new_customer(shop: httpx.Client) -> str:
    name, password = f"bench-{secrets.token_hex(6)}", secrets.token_urlsafe(15)
    body = {"username": name, "password": password, "password2": password, "email": f"{name}@example.com"}
    shop.post("/api/users", json=body).raise_for_status()
    return _log_in(shop, name, password)


def _log_in(shop: httpx.Client, name: str, password: str) -> str:
    answer = shop.post("/api/token", json={"username": name, "password": password})
    return str(answer.raise_for_status().json()["access"])


@contextmanager
def _bare_sanic() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with running("benchmarks.first", "--bare", str(port), environment=os.environ):
        url = f"http://127.0.0.1:{port}"
        wait_for(url)
        yield url


def _serve_bare_sanic(port: int) -> None:
    from sanic import HTTPResponse, Request, Sanic
    from sanic import json as json_response

    app = Sanic("bare", configure_logging=False)

    @app.get("/")
    async def product(_: Request) -> HTTPResponse:
        return json_response({"id": 1, "name": "Benchmark biscuits", "price": "1.00", "currency": "EUR", "stock": 5})

    app.run(host="127.0.0.1", port=port, single_process=True, access_log=False, motd=False)


def _show(runs: list[dict[str, Any]]) -> None:
    table = Table("scenario", "clients", "requests/s", "p50 ms", "p99 ms", "failed", title="Through the edge")
    for run in runs:
        figures = (f"{run['requests_per_second']:,.0f}", f"{run['p50_ms']:.2f}", f"{run['p99_ms']:.2f}")
        table.add_row(run["scenario"], str(run["concurrency"]), *figures, str(run["failed"]))
    Console().print(table)


def _show_where_it_goes(runs: list[dict[str, Any]]) -> None:
    """A million divided by a figure is what one core of that program can do in a second."""
    most = [run for run in runs if run["concurrency"] == max(CONCURRENCIES) and run["scenario"] != "bare Sanic"]
    table = Table(
        "program", *(run["scenario"] for run in most), title=f"CPU µs a request, {max(CONCURRENCIES)} clients"
    )
    for name in sorted({name for run in most for name, used in run["cpu_us"].items() if name and used}):
        table.add_row(name, *(str(run["cpu_us"].get(name, 0)) for run in most))
    Console().print(table)


def _write(runs: list[dict[str, Any]]) -> Path:
    RESULTS.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    document = {
        "benchmark": "first",
        "at": now.isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "runs": runs,
    }
    path = RESULTS / f"first-{now:%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    main()
