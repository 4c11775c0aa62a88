"""Clients that hold connections and do next to nothing with them: ``python -m tests.builders.swarm PORT COUNT``.

A fifth each: says nothing, drips a head, drips a body, does not read a large answer, idles after an answer. They come
from several addresses of this machine, and who is cut off comes back after a while. Ends with its input.
"""

import asyncio
import random
import resource
import socket
import sys
from itertools import cycle

import uvloop

ADDRESSES = [f"127.0.0.{last}" for last in range(2, 10)]
DRIP_SECONDS = 1.0
BACK_AFTER = (3.0, 8.0)
CONNECTING_AT_ONCE = 50
ARRIVING_PER_SECOND = 800
TOLD_EVERY_SECONDS = 0.5

HEAD = b"GET /api/products/1 HTTP/1.1\r\nHost: shop\r\n"
LARGE = b"GET /api/products/2 HTTP/1.1\r\nHost: shop\r\n\r\n"
UPLOAD = b"POST /api/users HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n{"


class Slow(asyncio.Protocol):
    """One connection of its kind, until it is cut."""

    first, drip, reads = b"", b"", True

    def __init__(self, swarm):
        self._swarm = swarm
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport):
        self._transport = transport
        self._swarm.open += 1
        transport.write(self.first)
        if not self.reads:
            transport.pause_reading()
        if self.drip:
            self._loop.call_later(DRIP_SECONDS, self._drip)

    def connection_lost(self, _fault):
        self._swarm.open -= 1
        self._loop.call_later(random.uniform(*BACK_AFTER), self._swarm.queue.put_nowait, type(self))

    def _drip(self):
        if not self._transport.is_closing():
            self._transport.write(self.drip)
            self._loop.call_later(DRIP_SECONDS, self._drip)


class Silent(Slow):
    pass


class DripsHead(Slow):
    first, drip = HEAD + b"X-Slow: ", b"a"


class DripsBody(Slow):
    first, drip = UPLOAD, b" "


class NeverReads(Slow):
    first, reads = LARGE, False


class Idle(Slow):
    first = HEAD + b"\r\n"


KINDS = (Silent, DripsHead, DripsBody, NeverReads, Idle)


class Swarm:
    def __init__(self, port):
        self.open = 0
        self.queue = asyncio.Queue()
        self._port = port
        self._addresses = cycle(ADDRESSES)

    async def keep_connecting(self):
        loop = asyncio.get_running_loop()
        while True:
            kind = await self.queue.get()
            line = socket.socket()
            line.settimeout(0)
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            line.bind((next(self._addresses), 0))
            try:
                await loop.sock_connect(line, ("127.0.0.1", self._port))
                await loop.create_connection(lambda kind=kind: kind(self), sock=line)
            except OSError:
                line.close()
                loop.call_later(random.uniform(*BACK_AFTER), self.queue.put_nowait, kind)


async def main(port, count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, count + 500)), hard))
    swarm = Swarm(port)
    loop = asyncio.get_running_loop()
    for number in range(count):
        loop.call_later(number / ARRIVING_PER_SECOND, swarm.queue.put_nowait, KINDS[number % len(KINDS)])
    busy = [asyncio.create_task(swarm.keep_connecting()) for _ in range(CONNECTING_AT_ONCE)]
    ending = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    while not ending.done():
        print(swarm.open, flush=True)
        await asyncio.wait([ending], timeout=TOLD_EVERY_SECONDS)
    for task in busy:
        task.cancel()


if __name__ == "__main__":
    uvloop.run(main(*map(int, sys.argv[1:])))
