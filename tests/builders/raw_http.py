"""HTTP as bytes: what no decent client would send, and what comes back to the very end."""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass

HOST = b"Host: shop.example"


@dataclass(frozen=True)
class Said:
    """Everything the edge said on one connection, and whether it then ended it."""

    text: bytes
    ended: bool

    @property
    def statuses(self):
        return [int(part[:3]) for part in self.text.split(b"HTTP/1.1 ")[1:]]

    @property
    def headers(self):
        """Of the first answer."""
        lines = self.text.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}

    @property
    def problem(self):
        """The document of the first answer."""
        body = self.text.partition(b"\r\n\r\n")[2]
        return json.loads(body[: int(self.headers["content-length"])])


async def said(port, *parts, seconds=15.0):
    """Send the parts, and listen until the edge ends the connection or has been silent for so long."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    heard = b""
    try:
        with suppress(ConnectionError):
            for part in parts:
                writer.write(part)
                await writer.drain()
        with suppress(ConnectionError, TimeoutError):
            while chunk := await asyncio.wait_for(reader.read(65536), seconds):
                heard += chunk
            return Said(heard, ended=True)
    finally:
        writer.close()
    return Said(heard, ended=False)


def request(path, *headers, method=b"GET", body=None, kind=b"application/json"):
    """A proper request, but for what the test says."""
    lines = [method + b" " + path + b" HTTP/1.1", HOST, *headers]
    if body is not None:
        lines += [b"Content-Type: " + kind, b"Content-Length: %d" % len(body)]
    return b"\r\n".join([*lines, b"", b""]) + (body or b"")


LAST = request(b"/health/live", b"Connection: close")
