"""A plain Nameko service, as anybody would write it: the edge must be able to call it."""

from __future__ import annotations

import eventlet

eventlet.monkey_patch()

import sys  # noqa: E402 - eventlet patches first

import nameko  # noqa: E402
from nameko.containers import ServiceContainer  # noqa: E402
from nameko.rpc import rpc  # noqa: E402


class Stock:
    name = "stock"

    @rpc
    def echo(self, value):
        return value

    @rpc
    def slow(self, seconds):
        eventlet.sleep(seconds)
        return seconds

    @rpc
    def broken(self):
        raise ValueError("secret inside")


if __name__ == "__main__":
    nameko.config.setup(
        {"AMQP_URI": sys.argv[1], "PREFETCH_COUNT": 50, "max_workers": 50, "HEARTBEAT": 10, "LOGGING": {"version": 1}}
    )
    container = ServiceContainer(Stock)
    container.start()
    print("ready", flush=True)
    container.wait()
