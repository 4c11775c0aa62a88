"""A small HTTP service of the tests' own, down to the byte: it notes what it is asked, and misbehaves on request."""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field

from edge.discovery.table import Instance


@dataclass
class Asked:
    """One request as it came over the wire."""

    method: str
    target: str
    fields: list
    body: bytes = b""

    def values(self, name):
        return [value for known, value in self.fields if known == name]

    def value(self, name):
        values = self.values(name)
        assert len(values) < 2, values
        return values[0] if values else None


def answer(body=b"", *fields, status=200, reason="OK"):
    lines = [f"HTTP/1.1 {status} {reason}", f"content-length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode() + body


@dataclass
class Upstream:
    """A context manager. ``behave(asked, reader, writer)`` answers one request; true keeps the connection.

    ``asked`` holds every request whose head has come.
    """

    name: str
    behave: object = None
    meta: dict = field(default_factory=dict)
    weight: int = 1
    reads_bodies: bool = True

    async def __aenter__(self):
        self.asked, self.connections, self.made = [], set(), 0
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.kill()
        await self.server.wait_closed()
        for _ in range(100):  # whoever still serves notices within a few turns of the loop
            if not self.connections:
                return
            await asyncio.sleep(0)

    def kill(self):
        """Gone from one moment to the next: nobody listens, and every connection is reset."""
        self.server.close()
        for writer in list(self.connections):
            writer.transport.abort()

    @property
    def instance(self):
        return Instance(
            id=self.name, service="things", address="127.0.0.1", port=self.port, meta=self.meta, weight=self.weight
        )

    async def _serve(self, reader, writer):
        self.connections.add(writer)
        self.made += 1
        try:  # uvloop raises RuntimeError where somebody writes to what was reset
            with suppress(asyncio.IncompleteReadError, OSError, RuntimeError):
                while await self._serve_one(reader, writer):
                    pass
        finally:
            self.connections.discard(writer)
            writer.close()

    async def _serve_one(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n"))[:-4].decode(errors="surrogateescape")
        first, *lines = head.split("\r\n")
        method, target, _ = first.split(" ")
        fields = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        asked = Asked(method, target, fields)
        self.asked.append(asked)
        if self.reads_bodies:
            asked.body = await reader.readexactly(int(asked.value("content-length") or 0))
        if self.behave is not None:
            return await self.behave(asked, reader, writer)
        said = json.dumps({"by": self.name, "method": method, "target": target}).encode()
        writer.write(answer(b"" if method == "HEAD" else said, "content-type: application/json"))
        await writer.drain()
        return True
