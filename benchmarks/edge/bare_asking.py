"""``python -m benchmarks.edge.bare_asking PORT``: Sanic alone, which asks the catalogue for each product, and no more.

What lies between this and the edge is what the edge is for: tokens, limits, admission, breakers, problems, logs.
"""

from __future__ import annotations

import itertools
import os
import sys
from typing import Any

from sanic import HTTPResponse, Request, Sanic

from benchmarks.edge.direct import ROOM, asked_for
from edge.rpc.client import RpcClient
from edge.rpc.connection import Broker
from edge.rpc.consumers import Consumers
from edge.rpc.pending import Pending
from shared.garbage import leave_out_what_lives


def main() -> None:
    """Serve until terminated."""
    pending = Pending(limit=ROOM)
    broker = Broker(os.environ["KIRANA_AMQP_URL"], name="bench-bare", pending=pending)
    client = RpcClient(broker=broker, pending=pending, consumers=Consumers(["catalog"]))
    numbers = itertools.count()
    app = Sanic("bare-asking", configure_logging=False)

    @app.before_server_start
    async def connect(_: Sanic[Any, Any]) -> None:
        await broker.open()
        leave_out_what_lives()

    @app.get("/asked/<product_id:int>")
    async def ask(_: Request, product_id: int) -> HTTPResponse:
        answer = await asked_for(client, product_id, f"bare-{next(numbers)}")
        return HTTPResponse(answer, content_type="application/json")

    app.run(host="127.0.0.1", port=int(sys.argv[1]), single_process=True, access_log=False, motd=False)


if __name__ == "__main__":
    main()
