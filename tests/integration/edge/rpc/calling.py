"""An edge's calling side, assembled as in a worker, for tests that talk to a real broker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import uvloop

from edge.rpc.calls import CallContext, Deadline
from edge.rpc.client import RpcClient
from edge.rpc.connection import Broker
from edge.rpc.consumers import Consumers
from edge.rpc.failures import CallFailure
from edge.rpc.guard import Guard
from edge.rpc.lane import POLICY
from edge.rpc.pending import Pending
from shared.contracts.method import Method, Request
from shared.resilience.coalescing import CoalescingPolicy


class Anything(Request):
    pass


def method(name: str, *, service: str = "stock", mutating: bool = False) -> Method:
    return Method(service, name, Anything, None, mutating=mutating)


def a_context(seconds: float = 5.0) -> CallContext:
    return CallContext(request_id="request-1", deadline=Deadline.after(seconds), route="test")


class Caller:
    def __init__(
        self,
        url: str,
        *,
        services: Sequence[str] = ("stock", "ghost"),
        lanes: CoalescingPolicy | None = POLICY,
        limit: int = 10_000,
    ) -> None:
        self.pending = Pending(limit=limit, on_late=self._hear)
        self.broker = Broker(url, name="edge-test", pending=self.pending)
        self.consumers = Consumers(services, on_return=self._wake, on_absence=self._lose)
        self.broker.follow(self.consumers.follow)
        self.client = RpcClient(broker=self.broker, pending=self.pending, consumers=self.consumers, lanes=lanes)
        self.guard = Guard(self.client, services)

    def _wake(self, service: str) -> None:
        self.guard.wake(service)

    def _hear(self, late: Method) -> None:
        self.guard.heard(late)

    def _lose(self, service: str) -> None:
        self.guard.lost(service)

    async def echo(self, value: object, *, seconds: float = 5.0, mutating: bool = False) -> object:
        context = a_context(seconds)
        return (await self.client.call(method("echo", mutating=mutating), {"value": value}, context=context)).result

    async def answers(self) -> bool:
        try:
            return await self.echo("there?", seconds=1.0) == "there?"
        except CallFailure:
            return False


@asynccontextmanager
async def a_caller(url: str, **asked: Any) -> AsyncIterator[Caller]:
    caller = Caller(url, **asked)
    await caller.broker.open()
    try:
        yield caller
    finally:
        await caller.broker.close()


def run(work: Awaitable[None]) -> None:
    uvloop.run(work)
