"""What calls notice of bad company: one slow call among a thousand quick ones, and a stream of poison."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import count, cycle, islice
from statistics import median, quantiles
from typing import Any

import aiormq
from pamqp.commands import Basic

from benchmarks.rpc import contract
from edge.rpc.calls import CallContext, Deadline
from edge.rpc.client import RpcClient
from edge.rpc.connection import Broker
from edge.rpc.consumers import Consumers
from edge.rpc.failures import CallFailure
from edge.rpc.pending import Pending
from shared.contracts.exchanges import CALLS
from shared.contracts.method import Method

ROOM = 10_000
PATIENCE_SECONDS = 60.0
STARTS_WITHIN = 20.0
QUICK_CALLS = 1000
QUICK_SECONDS = 0.001
SLOW_SECONDS = 2.0
HANDS = 16
NO_JSON = b"{"
A_CALL = b'{"args": [], "kwargs": {"product_id": 1}}'

_numbers = count()


@dataclass(frozen=True)
class BesideASlowCall:
    """The p99 of a thousand quick calls in ms, and how often all of them were answered before the slow one was."""

    without: Sequence[float]
    beside: Sequence[float]
    overtaken: int

    @property
    def ratios(self) -> list[float]:
        """One of each round."""
        return _ratios(self.without, self.beside)

    def __str__(self) -> str:
        rounds = len(self.beside)
        return (
            f"{QUICK_CALLS} calls of {QUICK_SECONDS * 1000:g} ms at once, {rounds} rounds: "
            f"{_compared(self.without, self.beside)}; "
            f"in {self.overtaken} of {rounds} rounds all of them came before the one of {SLOW_SECONDS:g} s"
        )


async def beside_a_slow_call(url: str, *, rounds: int) -> BesideASlowCall:
    """A thousand calls of 1 ms at once through one lane, in turn without and with one of 2 s before them."""
    alone, beside, overtaken = [], [], 0
    async with _a_client(url) as client:
        await _crowd(client)  # warm
        for number in range(rounds):
            for is_beside in (number % 2 == 0, number % 2 != 0):  # neither always comes first
                slow = _timed(client, SLOW_SECONDS) if is_beside else asyncio.sleep(SLOW_SECONDS)
                company = asyncio.create_task(slow)
                p99 = _p99(await _crowd(client))
                (beside if is_beside else alone).append(p99)
                overtaken += is_beside and not company.done()
                await company
    return BesideASlowCall(alone, beside, overtaken)


async def beside_poison(url: str, *, rounds: int, seconds: float, per_second: int) -> str:
    """Calls by 16 hands: in turn alone, beside a stranger's good calls, and beside as many messages that are none.

    That many messages cost time whatever is in them; what poison costs is the difference from good calls.
    """
    p99s: dict[str, list[float]] = {"alone": [], "good": [], "poison": []}
    sent = Counter[str]()
    connection = await aiormq.connect(url)
    channel = await connection.channel(publisher_confirms=False)
    async with _a_client(url) as client:
        await _load(client, seconds)  # warm
        for number in range(rounds):
            for kind in islice(cycle(p99s), number, number + len(p99s)):  # none always comes first
                stranger = asyncio.create_task(_send(channel, kind, seconds, per_second))
                p99s[kind].append(_p99(await _load(client, seconds)))
                sent[kind] += await stranger
    await connection.close()
    rates = ", ".join(f"{sent[kind] / rounds / seconds:.0f} {kind}" for kind in ("good", "poison"))
    return (
        f"{HANDS} callers, a stranger's messages per second: {rates}; {rounds} rounds of {seconds:g} s each:\n"
        f"  poison, and nothing: {_compared(p99s['alone'], p99s['poison'])}\n"
        f"  poison, and as many good calls: {_compared(p99s['good'], p99s['poison'])}"
    )


@asynccontextmanager
async def _a_client(url: str) -> AsyncIterator[RpcClient]:
    """The edge's own, without the guard that would let only some hundreds of calls out at once."""
    pending = Pending(limit=ROOM)
    broker = Broker(url, name="bench-company", pending=pending)
    consumers = Consumers([contract.SERVICE])
    broker.follow(consumers.follow)
    await broker.open()
    client = RpcClient(broker=broker, pending=pending, consumers=consumers)
    try:
        await _wait_for_service(client)
        yield client
    finally:
        await broker.close()


async def _wait_for_service(client: RpcClient) -> None:
    give_up_at = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < give_up_at:
        with suppress(CallFailure):
            await _timed(client, 0)
            return
        await asyncio.sleep(0.1)
    raise TimeoutError("the service does not answer")


async def _crowd(client: RpcClient) -> list[float]:
    return await asyncio.gather(*(_timed(client, QUICK_SECONDS) for _ in range(QUICK_CALLS)))


async def _load(client: RpcClient, seconds: float) -> list[float]:
    until, took = time.monotonic() + seconds, []

    async def hand() -> None:
        while time.monotonic() < until:
            took.append(await _timed(client, 0))

    await asyncio.gather(*(hand() for _ in range(HANDS)))
    return took


async def _send(channel: aiormq.abc.AbstractChannel, kind: str, seconds: float, per_second: int) -> int:
    """Messages as stock Nameko sends them, whose answers nobody reads; equally many of every kind."""
    if kind == "alone":
        return 0
    began, sent = time.monotonic(), 0
    body = A_CALL if kind == "good" else NO_JSON
    properties = Basic.Properties(content_type="application/json", reply_to="nobody-listens", delivery_mode=1)
    while (elapsed := time.monotonic() - began) < seconds:
        while sent < elapsed * per_second:  # what a pause took too long for is made up
            await channel.basic_publish(
                body, exchange=CALLS, routing_key=contract.LOOK.routing_key, properties=properties
            )
            sent += 1
        await asyncio.sleep(1 / per_second)
    return sent


async def _timed(client: RpcClient, seconds: float) -> float:
    """How many milliseconds a call takes."""
    method: Method = contract.REST if seconds else contract.LOOK
    number = next(_numbers)
    arguments: dict[str, Any] = {"number": number, "seconds": seconds} if seconds else {"product_id": number}
    context = CallContext(request_id=f"bench-{number}", deadline=Deadline.after(PATIENCE_SECONDS), route="company")
    began = time.perf_counter()
    await client.call(method, arguments, context=context)
    return (time.perf_counter() - began) * 1000


def _p99(milliseconds: Sequence[float]) -> float:
    return quantiles(milliseconds, n=100)[-1]


def _compared(without: Sequence[float], beside: Sequence[float]) -> str:
    ratios = sorted(_ratios(without, beside))
    return (
        f"p99 {median(without):.1f} ms without, {median(beside):.1f} ms beside, "
        f"ratio {median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})"
    )


def _ratios(without: Sequence[float], beside: Sequence[float]) -> list[float]:
    """Only what was measured right after each other is compared: the machine's own speed changes."""
    return [one / other for one, other in zip(beside, without, strict=True)]
