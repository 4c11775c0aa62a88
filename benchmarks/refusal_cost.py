"""``python -m benchmarks.refusal_cost [MICROSECONDS]``: what a 429 costs, beside a read, for a bot that never waits.

An edge process serves with real limits in a private Redis and a service that answers at once; a client that ignores
``Retry-After`` asks over eight connections. Printed: CPU of the edge and of Redis per answer, for reads and for
refusals. A read through the whole system costs the services and the broker besides: give that figure (microseconds,
from ``make bench-rpc``) as the argument to have the ratio to it, too.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, cast

import psutil

from benchmarks.limits_cost import seconds_of
from tests.builders.redis import Redis

REQUESTS = 8_000
CONNECTIONS = 8
TABLE = """
rates: {plenty: {quota: 100000000, window: 60}, one: {quota: 1, window: 3600}}
routes:
"""
ROUTE = """
  - {{name: {name}, method: GET, path: "/{name}/{{product_id}}", summary: s, tag: t, call: catalog.get_product,
     auth: none, limits: {{address: {rate}}}, arguments: {{product_id: path}}}}
"""


async def ask(port: int, path: str, times: int) -> bytes:
    """Ask over one connection, again and again; the last status line."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    line = b""
    for _ in range(times):
        writer.write(f"GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        line = head.partition(b"\r\n")[0]
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
    writer.close()
    return line


async def cost(server: Redis, edge: psutil.Process, port: int, path: str) -> float:
    """Microseconds of CPU per answer, printed with what the answer was."""
    await ask(port, path, 200)
    before, redis_before = sum(edge.cpu_times()[:2]), seconds_of(server)
    each = REQUESTS // CONNECTIONS
    lines = await asyncio.gather(*(ask(port, path, each) for _ in range(CONNECTIONS)))
    ours = (sum(edge.cpu_times()[:2]) - before) / REQUESTS * 1e6
    theirs = (seconds_of(server) - redis_before) / REQUESTS * 1e6
    print(f"{lines[0].decode():32} edge {ours:7.1f} us, Redis {theirs:6.2f} us")
    return ours + theirs


def main(whole_read: float | None) -> None:
    """Measure and print."""
    with Redis() as server, tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "routes.yaml"
        table.write_text(TABLE + ROUTE.format(name="read", rate="plenty") + ROUTE.format(name="refused", rate="one"))
        command = [sys.executable, "-m", "tests.builders.limited_edge", server.url, "1", str(table)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            port = int(cast("IO[str]", process.stdout).readline())
            edge = psutil.Process(process.pid)
            read = asyncio.run(cost(server, edge, port, "/read/7"))
            refused = asyncio.run(cost(server, edge, port, "/refused/7"))
            cast("IO[str]", process.stdin).close()
    print(f"a refusal costs {refused / read:.0%} of a read's part in the edge")
    if whole_read is not None:
        print(f"a refusal costs {refused / (read + whole_read):.1%} of a read through the whole system")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else None)
