"""What a service says that does not want to switch: its status is the answer, with a body that is short and whole."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from sanic import HTTPResponse

from edge.upstreams.headers import to_client
from edge.upstreams.streaming import BODILESS

if TYPE_CHECKING:
    from edge.upstreams.headers import Fields

MOST_REFUSAL_BYTES = 65_536
REFUSAL_SECONDS = 1.0
"""So long the body may take after its head: it is short, and nobody waits for one that does not end."""

FIRST_FINAL = 200
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[\t ]*(?:;[^\r\n]*)?\r\n")


async def refusal_of(reader: asyncio.StreamReader, status: int, fields: Fields) -> HTTPResponse:
    """The answer for the client. Raises ``ValueError`` when it is none yet, or its head cannot be passed on.

    A body that is too long, does not come, or has no clear end is left out, with what its head said of it.
    """
    if status < FIRST_FINAL:
        raise ValueError(f"a status that nobody asked for: {status}")
    said = to_client(fields)
    try:
        async with asyncio.timeout(REFUSAL_SECONDS):
            body = b"" if status in BODILESS else await _body(reader, fields)
    except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
        body, said = b"", [(name, value) for name, value in said if not name.startswith("content-")]
    refusal = HTTPResponse(body, status=status)
    for name, value in said:
        refusal.headers.add(name, value)
    return refusal


async def _body(reader: asyncio.StreamReader, fields: Fields) -> bytes:
    """As RFC 9112, section 6.3 says where it ends. The connection is used for nothing afterwards."""
    codings = [value.lower() for name, value in fields if name == "transfer-encoding"]
    lengths = {value for name, value in fields if name == "content-length"}
    if codings and (codings != ["chunked"] or lengths):
        raise ValueError("nobody can say where this ends")
    if codings:
        return await _chunked(reader)
    if lengths:
        length = lengths.pop() if len(lengths) == 1 else ""
        return await reader.readexactly(_within_bounds(int(length) if length.isdecimal() else -1))
    return await _until_the_end(reader)


async def _chunked(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := _size_of(await reader.readline()):
        _within_bounds(len(body) + size)
        body += await reader.readexactly(size)
        if await reader.readexactly(2) != b"\r\n":
            raise ValueError("a chunk is longer than it says")
    return bytes(body)


def _size_of(line: bytes) -> int:
    read = _CHUNK.fullmatch(line)
    if read is None:
        raise ValueError(f"this is no chunk: {line[:40]!r}")
    return int(read[1], 16)


async def _until_the_end(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while part := await reader.read(MOST_REFUSAL_BYTES):
        body += part
        _within_bounds(len(body))
    return bytes(body)


def _within_bounds(size: int) -> int:
    if not 0 <= size <= MOST_REFUSAL_BYTES:
        raise ValueError("the body is too long, or has no length")
    return size
