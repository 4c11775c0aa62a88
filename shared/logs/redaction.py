"""Keeps secrets and person data out of the logs, by the name of a field and by the look of a text."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from types import NoneType
from typing import Any

from shared.logs.names import ByName

REDACTED = "[redacted]"

_SECRET_PARTS = ("password", "passphrase", "passwd", "secret", "token", "authorization", "cookie", "email", "phone")
_SECRET_NAMES = frozenset({"access", "refresh", "api_key", "private_key", "credentials", "dsn"})
_MAX_DEPTH = 8
_HARMLESS = frozenset({NoneType, bool, int, float})
_CONTAINERS = (dict, list, tuple, set, frozenset)

_MAIL_ADDRESS = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_URL_CREDENTIALS = re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)")
_COMPACT_JWS = re.compile(r"eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")


def _may_hold_a_secret(name: str) -> bool:
    last = name.rpartition(".")[2].lower().replace("-", "_")
    return last in _SECRET_NAMES or any(part in last for part in _SECRET_PARTS)


_SECRETS = ByName(_may_hold_a_secret)


def is_secret(name: str) -> bool:
    """Whether a field of this name (dotted or not) may hold what must not be logged."""
    return _SECRETS[name]


def scrub(text: str) -> str:
    """Blank out mail addresses, credentials in URLs and signed tokens inside a text."""
    if "@" in text:
        text = _MAIL_ADDRESS.sub(REDACTED, _URL_CREDENTIALS.sub(REDACTED, text))
    if "eyJ" in text:
        text = _COMPACT_JWS.sub(REDACTED, text)
    return text


def redact_fields(fields: MutableMapping[str, Any]) -> None:
    """Blank every secret field and telling text of a line, in place."""
    for name, value in fields.items():
        kind = type(value)
        if _SECRETS[name]:
            if value is not None:
                fields[name] = REDACTED
        elif kind is str:
            if "@" in value or "eyJ" in value:
                fields[name] = scrub(value)
        elif kind not in _HARMLESS:
            fields[name] = redact(value)


def redact(value: Any, depth: int = 0) -> Any:
    """A copy of ``value`` with every secret field and telling text blanked, however deep it lies."""
    if isinstance(value, str):
        return scrub(value)
    if not isinstance(value, _CONTAINERS):
        return value
    if depth >= _MAX_DEPTH:
        return REDACTED
    if isinstance(value, dict):
        return {
            key: REDACTED if is_secret(str(key)) and part is not None else redact(part, depth + 1)
            for key, part in value.items()
        }
    return [redact(part, depth + 1) for part in value]
