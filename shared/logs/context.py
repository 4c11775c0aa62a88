"""Adds to a line what was bound to the request or message that it belongs to."""

from __future__ import annotations

from collections.abc import MutableMapping
from contextvars import copy_context
from typing import Any

from structlog.contextvars import STRUCTLOG_KEY_PREFIX

from shared.logs.names import ByName


def _field_of(variable: str) -> str | None:
    return variable.removeprefix(STRUCTLOG_KEY_PREFIX) if variable.startswith(STRUCTLOG_KEY_PREFIX) else None


_FIELDS: ByName[str | None] = ByName(_field_of)


def add_bound_fields(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A processor of structlog: ``merge_contextvars`` in one pass. What a line says itself wins over what was bound."""
    for variable, value in copy_context().items():
        name = _FIELDS[variable.name]
        if name is not None and value is not Ellipsis and name not in event:
            event[name] = value
    return event
