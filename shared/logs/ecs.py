"""Gives every log line the shape of the Elastic Common Schema, whatever fields its writer chose."""

from __future__ import annotations

import traceback
from types import TracebackType
from typing import Any

import orjson

ECS_VERSION = "9.0.0"
MAX_STACK_TRACE = 16_000
MAX_TEXT = 8_000

_OBJECTS = frozenset(
    {
        "client", "container", "data_stream", "destination", "ecs", "error", "event", "host", "http", "log", "network",
        "observability", "orchestrator", "organization", "process", "server", "service", "session", "source", "span",
        "tls", "trace", "transaction", "url", "user", "user_agent",
    }
)  # fmt: skip
_WHOLE_NUMBERS = frozenset(
    {
        "event.duration", "event.sequence", "event.severity", "http.response.status_code", "http.request.body.bytes",
        "http.response.body.bytes", "http.request.bytes", "http.response.bytes", "process.pid", "client.port",
        "server.port", "url.port", "log.origin.file.line",
    }
)  # fmt: skip

ExcInfo = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]


def to_ecs(fields: dict[str, Any]) -> dict[str, Any]:
    """Nest dotted ECS names; everything else becomes a flat label. Loses nothing but ``None``, never raises.

    A field that cannot stand where its name says (text where a number belongs, a scalar where an object
    already is) goes to ``labels`` under its name with underscores.
    """
    document: dict[str, Any] = {}
    labels: dict[str, Any] = {}
    for name, value in fields.items():
        if value is None:
            continue
        top, dot, rest = name.partition(".")
        if top == "labels" and dot:
            labels[_flat(rest)] = _as_label(value)
        elif not dot or top not in _OBJECTS or not _place(document, name, value):
            labels[_flat(name)] = _as_label(value)
    if labels:
        document["labels"] = labels
    return document


def error_fields(exc_info: ExcInfo) -> dict[str, Any]:
    """The ECS fields of an exception."""
    kind, error, trace = exc_info
    if kind is None:
        return {}
    text = "".join(traceback.format_exception(kind, error, trace))
    return {
        "error.type": f"{kind.__module__}.{kind.__qualname__}",
        "error.message": _message_of(error)[:MAX_TEXT],
        "error.stack_trace": text[-MAX_STACK_TRACE:],
    }


def _message_of(error: BaseException | None) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a broken __str__ must not lose the line that reports it
        return "<no text>"


def _place(document: dict[str, Any], name: str, value: Any) -> bool:
    *parents, leaf = name.split(".")
    if not leaf or not all(parents):
        return False
    if name in _WHOLE_NUMBERS:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        value = int(value)
    elif isinstance(value, dict):
        return False
    at = document
    for parent in parents:
        at = at.setdefault(parent, {})
        if not isinstance(at, dict):
            return False
    if isinstance(at.get(leaf), dict):
        return False
    at[leaf] = value if isinstance(value, str | int | float | bool | list) else str(value)
    return True


def _flat(name: str) -> str:
    return name.replace(".", "_") or "unnamed"


def _as_label(value: Any) -> str | int | float | bool:
    if isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, dict | list | tuple):
        try:
            return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()[:MAX_TEXT]
        except TypeError:
            return repr(value)[:MAX_TEXT]
    return str(value)[:MAX_TEXT]
