"""An edge's client, a broker, a service of ours and its database, with a network that can break on either side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import Any

import amqp

from edge.rpc.guard import Guard
from shared.resilience.breaker import BreakerPolicy
from tests.builders.lots import SEED, lots
from tests.builders.proxy import Proxy
from tests.builders.rabbitmq import VIRTUAL_HOST, Rabbit
from tests.builders.waiting import eventually_async
from tests.contract.conftest import Running
from tests.integration.edge.rpc.calling import a_caller, run
from tests.integration.edge.rpc.things import Demo, Ledger

QUEUE = "rpc-demo"
RETURNING = '{"dead-letter-exchange": "dlx.rpc"}'
FULL_WITH_ONE = '{"dead-letter-exchange": "dlx.rpc", "max-length": 1, "overflow": "reject-publish"}'
SHORT_SIGHTED = BreakerPolicy(open_for=1.0)
"""Half a minute after the network is well again would be too long for these tests."""

TRUSTING = BreakerPolicy(failures_to_open=10_000, minimum=10_000)

Scenario = Callable[[Ledger], Awaitable[None]]


def url_at(port: int) -> str:
    """The broker's, seen through whatever listens there."""
    return f"amqp://guest:guest@127.0.0.1:{port}/{VIRTUAL_HOST}"


@dataclass
class Plane:
    """Everything between an edge and the data, with a network on either side of the broker."""

    broker: Rabbit
    near_edge: Proxy
    near_service: Proxy
    demo: Demo
    service: Running

    def suffer(
        self,
        scenario: Scenario,
        *,
        through: Proxy | None = None,
        breaker: BreakerPolicy = SHORT_SIGHTED,
        with_events: bool = False,
    ) -> None:
        """Run it with a fresh edge, let the dust settle, and check every word that was said against the data."""

        async def work() -> None:
            port = through.port if through else self.broker.port
            async with a_caller(url_at(port), services=("demo",)) as caller:
                caller.guard = Guard(caller.client, ("demo",), policy=breaker)
                ledger = Ledger(caller, self.demo.database, lots())
                measuring = asyncio.create_task(ledger.lateness.measure())
                await eventually_async(ledger.answers, what="an answer before the faults")
                try:
                    await scenario(ledger)
                    await ledger.settle()
                    if with_events:
                        await ledger.events_arrive()
                finally:
                    measuring.cancel()
                    print(f"seed {SEED}, {ledger.counted()}, edge {dict(caller.pending.counts)}")

        run(work())

    async def are_listening(self, wanted: int) -> bool:
        """Asked in a thread: whoever waits for an answer must not be late for it."""
        return await asyncio.to_thread(self.listening) == wanted

    def policy(self, definition: str) -> None:
        self.broker.ctl("set_policy", "-p", VIRTUAL_HOST, "calls", "^rpc-", definition)

    def listening(self) -> int:
        """How many; asking takes a connection of its own, and blocks."""
        with closing(self.broker.connect()) as connection:
            return int(connection.channel().queue_declare(QUEUE, passive=True).consumer_count)


@asynccontextmanager
async def out_there(work: Awaitable[Any]) -> AsyncIterator[None]:
    """Something under way while the block runs, and awaited after it."""
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        await task


def drained(connection: amqp.Connection) -> None:
    """Take in what has come."""
    try:
        connection.drain_events(timeout=0.05)
    except TimeoutError:
        return
