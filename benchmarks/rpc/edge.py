"""``python -m benchmarks.rpc.edge MODE PORT``: Sanic as the edge uses it, with its own client or the simplest one."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

import aiormq
import orjson
from pamqp.commands import Basic
from sanic import HTTPResponse, Request, Sanic
from sanic.response import raw

from benchmarks.processes import STARTS_WITHIN
from benchmarks.rpc import contract
from edge.application import Application
from edge.protocol import StrictProtocol
from edge.routes import NotRouted, load
from edge.rpc.calls import CallContext, Deadline
from edge.rpc.client import RpcClient
from edge.rpc.connection import Broker
from edge.rpc.consumers import Consumers
from edge.rpc.failures import CallFailure
from edge.rpc.guard import Guard
from edge.rpc.lane import POLICY
from edge.rpc.pending import Pending
from edge.settings import PACKAGED_ROUTES
from shared.contracts.exchanges import CALLS
from shared.garbage import leave_out_what_lives

if TYPE_CHECKING:
    from aiormq.abc import DeliveredMessage

MODES = ("lanes", "singles", "stock")
PATIENCE_SECONDS = 5.0
LOOK_AGAIN_SECONDS = 0.2
ROOM = 50_000
JSON = "application/json"

PRODUCTS = "/api/products/"
"""One of them, by its id; whatever the table has no route for answers how many calls went into each frame."""


class Looking(Protocol):
    """A way to ask the service."""

    async def open(self) -> None:
        """Connect."""

    async def look(self, product_id: int) -> Any:
        """One call."""

    def batch_sizes(self) -> dict[int, int]:
        """Calls per frame since the start."""


class ThroughTheEdgesClient:
    """What the edge does between a route and the broker, with everything on: guard, budget, deadlines, lanes."""

    def __init__(self, url: str, *, coalescing: bool) -> None:
        pending = Pending(limit=ROOM)
        self._broker = Broker(url, name="bench-edge", pending=pending)
        consumers = Consumers([contract.SERVICE])
        lanes = POLICY if coalescing else None
        self._client = RpcClient(broker=self._broker, pending=pending, consumers=consumers, lanes=lanes)
        self._guard = Guard(self._client, [contract.SERVICE])
        self._broker.follow(consumers.follow)
        self._ids = itertools.count()

    async def open(self) -> None:
        """Connect."""
        await self._broker.open()

    async def look(self, product_id: int) -> Any:
        """One call."""
        context = CallContext(
            request_id=f"bench-{next(self._ids)}", deadline=Deadline.after(PATIENCE_SECONDS), route="look"
        )
        return (await self._guard.call(contract.LOOK, {"product_id": product_id}, context=context)).result

    def batch_sizes(self) -> dict[int, int]:
        """Of all lanes."""
        return {
            size: n for lane in self._client.lanes.values() for size, n in lane.coalescer.machine.batch_sizes.items()
        }


class OneMessagePerCall:
    """The least that works: no confirms, no deadlines, no limits."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ids = itertools.count()
        self._waiting: dict[str, asyncio.Future[bytes]] = {}

    async def open(self) -> None:
        """Connect."""
        connection = await aiormq.connect(self._url)
        self._channel = await connection.channel(publisher_confirms=False)
        queue = (await self._channel.queue_declare("", exclusive=True)).queue or ""
        self._address = f"bench-{os.getpid()}"
        await self._channel.queue_bind(queue, CALLS, self._address)
        await self._channel.basic_consume(queue, self._on_reply, no_ack=True)

    async def look(self, product_id: int) -> Any:
        """One call."""
        correlation_id = str(next(self._ids))
        answer = self._waiting[correlation_id] = asyncio.get_running_loop().create_future()
        await self._channel.basic_publish(
            orjson.dumps({"args": (), "kwargs": {"product_id": product_id}}),
            exchange=CALLS,
            routing_key=f"{contract.STOCK_SERVICE}.look",
            properties=Basic.Properties(
                content_type="application/json",
                content_encoding="utf-8",
                correlation_id=correlation_id,
                reply_to=self._address,
                delivery_mode=1,
            ),
        )
        return orjson.loads(await answer)["result"]

    def batch_sizes(self) -> dict[int, int]:
        """None."""
        return {}

    async def _on_reply(self, message: DeliveredMessage) -> None:
        answer = self._waiting.pop(message.header.properties.correlation_id or "", None)
        if answer is not None and not answer.done():  # its client may have gone
            answer.set_result(message.body)


async def _answered(client: Looking) -> None:
    """Wait until the service is there. Raises ``TimeoutError`` when it does not come."""
    async with asyncio.timeout(STARTS_WITHIN):
        while True:
            with suppress(CallFailure, TimeoutError):
                await asyncio.wait_for(client.look(1), PATIENCE_SECONDS)
                return
            await asyncio.sleep(LOOK_AGAIN_SECONDS)


def main() -> None:
    """Serve until terminated."""
    mode, port = sys.argv[1], int(sys.argv[2])
    url = os.environ["KIRANA_AMQP_URL"]
    client: Looking = (
        OneMessagePerCall(url) if mode == "stock" else ThroughTheEdgesClient(url, coalescing=mode == "lanes")
    )
    table = load(PACKAGED_ROUTES)
    app = Application("bench")

    @app.before_server_start
    async def connect(_: Sanic[Any, Any]) -> None:
        await client.open()
        await _answered(client)
        leave_out_what_lives()

    async def serve(request: Request) -> HTTPResponse:
        found, variables = table.find(request.method, request.path)
        if isinstance(found, NotRouted):
            return raw(orjson.dumps(client.batch_sizes(), option=orjson.OPT_NON_STR_KEYS), content_type=JSON)
        return raw(orjson.dumps(await client.look(int(variables["product_id"]))), content_type=JSON)

    app.handler = serve
    app.run(host="127.0.0.1", port=port, single_process=True, protocol=StrictProtocol, access_log=False, motd=False)


if __name__ == "__main__":
    main()
