"""Turns what was logged into one line of bytes; the only place that knows the whole recipe."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any

import orjson

from shared.logs.ecs import ECS_VERSION, ExcInfo, error_fields, to_ecs
from shared.logs.redaction import is_secret, redact, scrub

_LEVELS = {"exception": "error", "warn": "warning", "fatal": "critical", "msg": "info", "log": "info"}
_BARE_FIELDS = frozenset({"tags"})


class Renderer:
    """Renders lines of one process, each with the ``constant`` fields that say which process it was."""

    def __init__(self, constant: Mapping[str, Any]) -> None:
        self._constant = dict(constant)

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> bytes:
        """The last processor of structlog. Never raises: the worst line still says that something was logged."""
        fields = dict(event)
        action = str(fields.pop("event", ""))
        head = {"message": action, "event.action": action, "log.level": _LEVELS.get(method, method)}
        name = getattr(logger, "name", None)
        if name:
            head["log.logger"] = name
        return self.line(head, fields)

    def line(self, head: dict[str, Any], fields: dict[str, Any]) -> bytes:
        """A finished line. ``fields`` may hold ``exc_info`` as logging calls take it."""
        try:
            return self._line(head, fields)
        except Exception as fault:  # noqa: BLE001 - a line that cannot be written must never stop the work it tells of
            return _last_resort(head, fault)

    def _line(self, head: dict[str, Any], fields: dict[str, Any]) -> bytes:
        found = _exc_info(fields.pop("exc_info", None))
        if found is not None:
            fields.update({name: scrub(text) for name, text in error_fields(found).items()})
        bare = {name: fields.pop(name) for name in _BARE_FIELDS & fields.keys()}
        clean = {
            name: "[redacted]" if is_secret(name) and value is not None else redact(value)
            for name, value in fields.items()
        }
        message = scrub(str(head.pop("message")))
        document = {
            "@timestamp": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "message": message,
            **to_ecs({**clean, **head, **self._constant, "ecs.version": ECS_VERSION}),
            **bare,
        }
        return _encoded(document) + b"\n"


def _exc_info(given: Any) -> ExcInfo | None:
    match given:
        case None | False:
            return None
        case BaseException():
            return (type(given), given, given.__traceback__)
        case (type() as kind, error, trace):
            return (kind, error, trace)
    found = sys.exc_info()
    return found if found[0] is not None else None


def _encoded(document: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(document, default=str, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:  # lone surrogates, integers over 64 bits
        return json.dumps(document, default=str, skipkeys=True).encode("ascii")


def _last_resort(head: dict[str, Any], fault: Exception) -> bytes:
    document = {
        "@timestamp": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "message": "log.line_lost",
        "log": {"level": "error"},
        "ecs": {"version": ECS_VERSION},
        "event": {"action": "log.line_lost"},
        "error": {"type": type(fault).__name__},
        "labels": {"lost": ascii(head.get("event.action") or head.get("log.logger"))[:200]},
    }
    return json.dumps(document).encode("ascii") + b"\n"
