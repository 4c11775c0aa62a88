"""What a span says of commands to Redis: which and where to, never their keys and values, which are people's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.tracing.recording import Value, part

NOT_LOADED = "NoScriptError"
"""What a client asks by the digest of a script, and then sends it, so that this answer is none of a fault."""


class _Command(part):
    __slots__ = ()

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is not None and kind.__name__ == NOT_LOADED:
            self.fault = ""
        super().__exit__(kind, *rest)


def command(name: Any, place: Mapping[str, Any]) -> part:
    """One command; ``place`` are the arguments that its connections are made with."""
    operation = str(name).upper()
    return _Command(operation, {**_where(place), "db.operation.name": operation})


def pipeline(count: int, place: Mapping[str, Any]) -> part:
    """Several commands at once."""
    return part("PIPELINE", {**_where(place), "db.operation.name": "PIPELINE", "db.operation.batch.size": count})


def _where(place: Mapping[str, Any]) -> dict[str, Value]:
    address: dict[str, Value] = {"server.address": str(place.get("path") or place.get("host") or "localhost")}
    if not place.get("path"):
        address["server.port"] = int(place.get("port") or 6379)
    return {"db.system.name": "redis", "db.namespace": str(place.get("db") or 0), **address}
