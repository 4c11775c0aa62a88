"""Makes a parked message fit to be shown: no secrets, and nothing that could steer a terminal."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kirana.parking.message import Parked
from shared.logs.redaction import redact, scrub

SHOWN_SHAPE = 300
MOST_LEVELS = 50
"""Of tables in each other: a broker's own headers have three, and hundreds can be read but not walked."""

_DIGIT = re.compile(r"\d")
_LETTER = re.compile(r"[^\W\d_]")


def body_of(parked: Parked) -> Any:
    """The body as JSON without secrets; of what is no JSON only its shape: a half-written login is a password too."""
    if parked.document is None and parked.body.strip() != b"null":
        return {"not_json": shape(parked.body), "bytes": len(parked.body)}
    return redact(_without_positions(parked.document))


def headers_of(parked: Parked) -> dict[str, Any]:
    """Properties and headers without secrets."""
    found: dict[str, Any] = redact(plain(described(parked.properties)))
    return found


def described(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Properties flat, with their headers under one name."""
    rest = {name: value for name, value in properties.items() if name != "application_headers"}
    return {**rest, "headers": properties.get("application_headers") or {}}


def shape(body: bytes) -> str:
    """Where letters, digits and signs stand, and no more: ``{"user": "asha1`` is ``{"aaaa": "aaaa9``."""
    text = body[:SHOWN_SHAPE].decode("utf-8", "replace")
    return _LETTER.sub("a", _DIGIT.sub("9", text)) + ("…" if len(body) > SHOWN_SHAPE else "")


def plain(value: Any, levels: int = MOST_LEVELS) -> Any:
    """``value`` in types that JSON has; bytes that are no text become base64, and what lies too deep is left out."""
    match value:
        case dict() | list() | tuple() if levels == 0:
            return "…"
        case dict():
            return {str(plain(name)): plain(part, levels - 1) for name, part in value.items()}
        case list() | tuple():
            return [plain(part, levels - 1) for part in value]
        case bytes() | bytearray() | memoryview():
            return _of_bytes(bytes(value))
        case datetime():
            return value.isoformat()
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def pretty(value: Any) -> str:
    """JSON for people, safe to print."""
    return printable(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def printable(text: str) -> str:
    """``text`` with every character that a terminal may take for a command written out."""
    return "".join(each if each.isprintable() or each == "\n" else f"\\u{ord(each):04x}" for each in text)


def said(text: str) -> str:
    """A text of somebody else's in one line, without secrets."""
    return printable(scrub(text).replace("\n", " "))


def _without_positions(value: Any) -> Any:
    """Arguments without names may be passwords: only their kind and length are told."""
    match value:
        case {"args": list() as args, **rest}:
            return {"args": [_covered(each) for each in args], **{k: _without_positions(v) for k, v in rest.items()}}
        case dict():
            return {name: _without_positions(part) for name, part in value.items()}
        case list():
            return [_without_positions(part) for part in value]
    return value


def _covered(value: Any) -> Any:
    match value:
        case str():
            return f"[text, {len(value)} characters]"
        case dict() | list():
            return f"[{type(value).__name__}, {len(value)} parts]"
    return value


def _of_bytes(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(value).decode()
