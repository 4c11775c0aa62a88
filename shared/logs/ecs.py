"""Gives every log line the shape of the Elastic Common Schema, whatever fields its writer chose."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import orjson

from shared.logs.names import ByName

ECS_VERSION = "9.0.0"
MAX_STACK_TRACE = 16_000
MAX_TEXT = 8_000

_OBJECTS = frozenset(
    {
        "client", "container", "data_stream", "destination", "ecs", "error", "event", "host", "http", "log", "network",
        "observer", "orchestrator", "organization", "process", "server", "service", "source", "span",
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

_SCALARS = frozenset({str, int, float, bool})

ExcInfo = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]


_Place = tuple[str, tuple[str, ...], str, type[int | str], str]
"""Where a name stands: object (none: it is no name of the schema), objects in it, leaf, kind of value; else its label.

A plain tuple, as the interpreter unpacks no other as quickly.
"""


def _place_of(name: str) -> _Place:
    top, dot, rest = name.partition(".")
    *inner, leaf = rest.split(".")
    if top in _OBJECTS and leaf and all(inner):
        return (top, tuple(inner), leaf, int if name in _WHOLE_NUMBERS else str, _flat(name))
    return ("", (), "", str, _flat(rest if top == "labels" and dot else name))


_PLACES = ByName(_place_of)


class Constant:
    """Fields with which every line of a process ends, nested once and shared by all its lines."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.fields = dict(fields)
        self.names = frozenset(fields)
        self._objects: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
        for top in dict.fromkeys(name.partition(".")[0] for name in fields):
            below = {name: value for name, value in fields.items() if name.partition(".")[0] == top}
            nested = to_ecs(below)
            self._objects.append((top, {} if "labels" in nested else nested.get(top, {}), below))

    def end(self, document: dict[str, Any], labels: dict[str, Any]) -> None:
        """Add the fields: one by one only where one could meet something that the line has put there."""
        for top, ready, fields in self._objects:
            at = document.get(top)
            if at is None and ready:
                document[top] = ready
            elif at and ready and at.keys().isdisjoint(ready):
                at.update(ready)
            else:
                _nest(fields, document, labels)


def to_ecs(
    fields: Mapping[str, Any], constant: Constant | None = None, begun: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Nest dotted ECS names; everything else becomes a flat label. Loses nothing but ``None``, never raises.

    A field that cannot stand where its name says (text where a number belongs, a scalar where an object
    already is) goes to ``labels`` under its name with underscores. A ``constant`` field wins over one of its name.
    Goes on with the document ``begun``. With ``constant``, do not change the result: lines share its objects.
    """
    document = {} if begun is None else begun
    labels: dict[str, Any] = {}
    if constant is None:
        _nest(fields, document, labels)
    elif constant.names.isdisjoint(fields):
        _nest(fields, document, labels)
        constant.end(document, labels)
    else:
        _nest({**fields, **constant.fields}, document, labels)
    if labels:
        document["labels"] = labels
    return document


def _nest(fields: Mapping[str, Any], document: dict[str, Any], labels: dict[str, Any]) -> None:
    for name, value in fields.items():
        if value is None:
            continue
        top, inner, leaf, kind, label = _PLACES[name]
        if top:
            fitting = value if type(value) is kind else _fitting(value, kind)
            if fitting is not None:
                at = document.get(top)
                if at is None:
                    at = document[top] = {}
                if inner:
                    at = _object_in(at, inner)
                if at is not None and (leaf not in at or type(at[leaf]) is not dict):
                    at[leaf] = fitting
                    continue
        labels[label] = value if type(value) in _SCALARS else _as_label(value)


def _object_in(at: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any] | None:
    for name in names:
        at = at.setdefault(name, {})
        if type(at) is not dict:
            return None
    return at


def _fitting(value: Any, kind: type[int | str]) -> Any:
    """What may stand where a whole number (``int``) or anything but an object (``str``) belongs, else ``None``."""
    if kind is int:
        return None if isinstance(value, bool) or not isinstance(value, (int, float)) else int(value)
    if isinstance(value, dict):
        return None
    return value if isinstance(value, (str, int, float, list)) else str(value)


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
