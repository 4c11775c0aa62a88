"""A load generator light enough not to be the limit: raw HTTP/1.1 over kept-alive connections, one request each."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

NextRequest = Callable[[], bytes]
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"
_STATUS = slice(9, 12)
_GOOD = range(200, 300)
_DRAIN_SECONDS = 10.0


@dataclass
class Measured:
    """What a run saw: seconds per answer, answers by status, connections that broke."""

    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    broken: int = 0
    seconds: float = 0.0

    def summary(self) -> dict[str, Any]:
        """Requests per second and latency in milliseconds; ``failed`` counts everything that was not 2xx."""
        ordered = sorted(self.latencies)
        failed = sum(count for status, count in self.statuses.items() if status not in _GOOD)
        return {
            "requests": len(ordered),
            "requests_per_second": round(len(ordered) / self.seconds, 1) if self.seconds else 0.0,
            "p50_ms": _percentile(ordered, 0.50),
            "p99_ms": _percentile(ordered, 0.99),
            "failed": failed + self.broken,
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
        }


def request_bytes(
    method: str, url: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None
) -> bytes:
    """A whole request, ready to be sent again and again."""
    content = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", f"Host: {urlsplit(url).netloc}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join(lines).encode() + _HEAD_END + content


async def run_load(url: str, sources: Sequence[NextRequest], seconds: float) -> Measured:
    """Send from every source at once, each on its own connection and one request at a time, for so long."""
    measured = Measured()
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    began = time.perf_counter()
    buyers = [_Buyer(source, measured, began + seconds) for source in sources]
    loop = asyncio.get_running_loop()
    for buyer in buyers:
        await loop.create_connection(partial(_itself, buyer), host, port)
    await asyncio.wait([buyer.finished for buyer in buyers], timeout=seconds + _DRAIN_SECONDS)
    for buyer in buyers:
        buyer.close()
    measured.seconds = time.perf_counter() - began
    return measured


def _itself(buyer: _Buyer) -> _Buyer:
    return buyer


class _Buyer(asyncio.Protocol):
    """One connection: sends, waits for the whole answer, sends again."""

    def __init__(self, source: NextRequest, measured: Measured, ends_at: float) -> None:
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._source = source
        self._measured = measured
        self._ends_at = ends_at
        self._received = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # create_connection gives a Transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head_end = self._received.find(_HEAD_END)
        if head_end < 0:
            return
        head = self._received[:head_end].lower()
        at = head.find(_LENGTH)
        length = int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._received) < head_end + len(_HEAD_END) + length:
            return
        now = time.perf_counter()
        self._measured.latencies.append(now - self._sent_at)
        self._measured.statuses[int(self._received[_STATUS])] += 1
        self._received = b""
        if now < self._ends_at:
            self._send()
        else:
            self._finish()

    def connection_lost(self, _: Exception | None) -> None:
        if not self.finished.done():
            self._measured.broken += 1
            self._finish()

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._finish()
            self._transport.abort()

    def _send(self) -> None:
        if self._transport is not None:
            self._sent_at = time.perf_counter()
            self._transport.write(self._source())

    def _finish(self) -> None:
        if not self.finished.done():
            self.finished.set_result(None)


def _percentile(ordered: Sequence[float], share: float) -> float:
    if not ordered:
        return 0.0
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000, 2)
