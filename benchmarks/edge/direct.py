"""``python -m benchmarks.edge.direct RATE SECONDS PRODUCTS``: the same calls without the gateway, at the same pace.

Calls ``catalog.get_product`` through the RPC client alone, each when it is due; prints milliseconds as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

import orjson
import uvloop

from benchmarks.edge.percentiles import summary
from edge.rpc.calls import CallContext, Deadline
from edge.rpc.client import RpcClient
from edge.rpc.connection import Broker
from edge.rpc.consumers import Consumers
from edge.rpc.pending import Pending
from shared.contracts import catalog
from shared.garbage import leave_out_what_lives

PATIENCE_SECONDS = 5.0
ROOM = 10_000


async def asked_for(client: RpcClient, product_id: int, request_id: str) -> bytes:
    """One product, as JSON. Raises what :meth:`edge.rpc.client.RpcClient.call` raises."""
    context = CallContext(request_id=request_id, deadline=Deadline.after(PATIENCE_SECONDS), route="direct")
    reply = await client.call(catalog.METHODS["get_product"], {"product_id": product_id}, context=context)
    return orjson.dumps(reply.result)


async def _offer(rate: float, seconds: float, products: int) -> dict[str, float]:
    pending = Pending(limit=ROOM)
    broker = Broker(os.environ["KIRANA_AMQP_URL"], name="bench-direct", pending=pending)
    client = RpcClient(broker=broker, pending=pending, consumers=Consumers(["catalog"]))
    latencies: list[float] = []

    async def ask(number: int, due: float) -> None:
        await asked_for(client, number % products + 1, f"direct-{number}")
        latencies.append(time.perf_counter() - due)

    await broker.open()
    await ask(0, time.perf_counter())
    latencies.clear()
    leave_out_what_lives()
    began = time.perf_counter()
    async with asyncio.TaskGroup() as calls:
        for number in range(int(rate * seconds)):
            due = began + number / rate
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            calls.create_task(ask(number, due))
    await broker.close()
    return summary(latencies)


def main() -> None:
    """Offer the load once."""
    rate, seconds, products = float(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    print(json.dumps(uvloop.run(_offer(rate, seconds, products))))


if __name__ == "__main__":
    main()
