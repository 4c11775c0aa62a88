"""Turns what was logged into one line of bytes; the only place that knows the whole recipe."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import orjson

from shared.logs.ecs import ECS_VERSION, Constant, ExcInfo, error_fields, to_ecs
from shared.logs.moments import Moments
from shared.logs.redaction import redact_fields, scrub

_LEVELS = {"exception": "error", "warn": "warning", "fatal": "critical", "msg": "info", "log": "info"}
_BARE_FIELD = "tags"


class Renderer:
    """Renders lines of one process, each with the ``constant`` fields that say which process it was."""

    def __init__(self, constant: Mapping[str, Any]) -> None:
        self._constant = Constant({**constant, "ecs.version": ECS_VERSION})
        self._moments = Moments()

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> bytes:
        """The last processor of structlog. Never raises: the worst line still says that something was logged."""
        action = str(event.pop("event", ""))
        head = {"event.action": action, "log.level": _LEVELS.get(method, method)}
        name = getattr(logger, "name", None)
        if name:
            head["log.logger"] = name
        return self.line(action, head, event)

    def line(self, message: str, head: Mapping[str, str], fields: MutableMapping[str, Any]) -> bytes:
        """A finished line. ``fields`` are used up, and may hold ``exc_info`` as logging calls take it."""
        try:
            return self._line(message, head, fields)
        except Exception as fault:  # noqa: BLE001 - a line that cannot be written must never stop the work it tells of
            return _last_resort(head, fault)

    def _line(self, message: str, head: Mapping[str, str], fields: MutableMapping[str, Any]) -> bytes:
        if "exc_info" in fields:
            found = _exc_info(fields.pop("exc_info"))
            if found is not None:
                fields.update({name: scrub(text) for name, text in error_fields(found).items()})
        bare = {_BARE_FIELD: fields.pop(_BARE_FIELD)} if _BARE_FIELD in fields else None
        redact_fields(fields)
        fields.update(head)
        begun = {"@timestamp": self._moments.now(), "message": scrub(message)}
        document = to_ecs(fields, self._constant, begun)
        if bare:
            document |= bare
        return _encoded(document)


def _exc_info(given: Any) -> ExcInfo | None:
    if given is None or given is False:
        return None
    match given:
        case BaseException():
            return (type(given), given, given.__traceback__)
        case (type() as kind, error, trace):
            return (kind, error, trace)
    found = sys.exc_info()
    return found if found[0] is not None else None


def _encoded(document: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(document, default=str, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        return _encoded_at_any_cost(document)


def _encoded_at_any_cost(document: dict[str, Any]) -> bytes:
    try:  # not at once, as this option doubles the time of every line
        return orjson.dumps(document, default=str, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # lone surrogates, integers over 64 bits
        return json.dumps(document, default=str, skipkeys=True).encode("ascii") + b"\n"


def _last_resort(head: Mapping[str, str], fault: Exception) -> bytes:
    document = {
        "@timestamp": Moments().now(),
        "message": "log.line_lost",
        "log": {"level": "error"},
        "ecs": {"version": ECS_VERSION},
        "event": {"action": "log.line_lost"},
        "error": {"type": type(fault).__name__},
        "labels": {"lost": ascii(head.get("event.action") or head.get("log.logger"))[:200]},
    }
    return json.dumps(document).encode("ascii") + b"\n"
