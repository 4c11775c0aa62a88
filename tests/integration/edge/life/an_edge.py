"""An edge as it is served for real, before services that are made up: a product takes its number in milliseconds.

Its words on the output are what the tests wait for. Product 1666 kills the worker that is asked for it; product 2 is
a large one.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from edge import app as edge_app
from edge import lifecycle, protocol
from edge.serving import serve
from edge.worker import Worker
from shared.logs import configure
from tests.builders.answers import a_product_answer
from tests.fakes.edge import FakeHealth, FakeRpc, collaborators

DEADLY, LARGE = 1666, 2
BULK = 200_000
OPTIONS = json.loads(os.environ.get("AN_EDGE", "{}"))


def say(word: str) -> None:
    sys.stdout.write(f"{word} {os.getpid()}\n")
    sys.stdout.flush()


class Health(FakeHealth):
    def leave(self):
        self.broker = "down"


class Registration:
    async def leave(self):
        say("withdrawn")


class StandIn(Worker):
    """A worker without a broker; all else of its life is real."""

    async def open(self):
        self.registration = Registration()
        say("open")

    async def close(self):
        say("closed")


async def get_product(arguments, _context):
    number = arguments["product_id"]
    if number == DEADLY:
        os._exit(1)
    await asyncio.sleep(number / 1000)
    return a_product_answer(id=number, name=f"by {os.getpid()}", description="x" * (BULK if number == LARGE else 0))


def build():
    lifecycle.SUCCESSION_SECONDS = 0.5
    protocol.LEAVING_SECONDS = OPTIONS["leaving_seconds"]
    configure(service="edge", instance="an-edge", spool=Path(OPTIONS["logs"]), stdout=None)
    health = Health()
    answers = {name: {"ok": True} for name in ("check_health",)}
    parts = collaborators(
        FakeRpc(get_product=get_product, **answers), health=health, rate_scale=1e6, **OPTIONS["settings"]
    )
    worker = StandIn(collaborators=parts, broker=None, table=None, health=health, keys=None)
    app = edge_app.create_app(parts.settings, worker=worker)
    app.config.update(OPTIONS.get("sanic", {}))
    app.after_server_start(lambda *_: say("serving"))  # the last word of a start: signals are listened for by now
    return app


if __name__ == "__main__":
    serve(collaborators(**OPTIONS["settings"]).settings, build)
