"""All that a request needs to know of the table in force, in one piece that never changes."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sanic import HTTPResponse

from edge.routes import RouteTable

Origin = Literal["file", "kept", "consul"]
"""Where a table came from: the edge's own file, the last good one kept on disk, or the key in Consul."""

Way = Callable[[Any], Awaitable[HTTPResponse]]
"""Sends an exchange through the stages of one route to its target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """Names a table: the hash of its text, where this worker has it from, and since when (UTC)."""

    hash: str
    origin: Origin
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One table, compiled. A request takes it once and holds it to its end, whatever is swapped in meanwhile."""

    table: RouteTable
    ways: Mapping[str, Way]
    openapi: bytes
    version: Version


def hash_of(text: str) -> str:
    """Twelve hexadecimal digits of the text's SHA-256: enough to tell tables apart, short enough for a log line."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:12]
