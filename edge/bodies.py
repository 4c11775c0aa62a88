"""Reads request bodies strictly: one JSON object in UTF-8, no tricks, so that every process sees the same thing."""

from __future__ import annotations

import json
from typing import Any

import orjson

from edge.problems import Rejected

DEEPEST = 32
LONGEST = 10_000
"""More items than this no list or object of a body has, whatever its bytes; a contract may well allow fewer."""


def read_object(raw: bytes) -> dict[str, Any]:
    """The body as plain values. Raises :class:`Rejected`.

    orjson refuses what is not JSON (NaN, Infinity, lone surrogates, a byte order mark, a second document);
    the second pass refuses members that stand twice, which parsers read differently.
    """
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as fault:
        raise Rejected("request.malformed", f"The body is not JSON: {fault.msg} at byte {fault.pos}.") from None
    if not isinstance(value, dict):
        raise Rejected(
            "request.invalid",
            "The body must be a JSON object.",
            errors=[{"pointer": "", "detail": "An object is expected here."}],
        )
    _check_shape(value, DEEPEST)
    json.loads(raw, object_pairs_hook=_without_duplicates, parse_int=str, parse_float=str)
    return value


def _check_shape(value: Any, levels: int) -> None:
    """At most so many levels, each of bounded length. Raises :class:`Rejected`."""
    if not isinstance(value, dict | list):
        return
    if levels == 0:
        raise Rejected("request.malformed", f"The body is nested more than {DEEPEST} deep.")
    if len(value) > LONGEST:
        raise Rejected("request.malformed", f"A list or object of the body has more than {LONGEST} items.")
    for part in value.values() if isinstance(value, dict) else value:
        _check_shape(part, levels - 1)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> None:
    names: set[str] = set()
    for name, _ in pairs:
        if name in names:
            raise Rejected("request.malformed", f"The member '{name[:60]}' stands twice in one object.")
        names.add(name)
