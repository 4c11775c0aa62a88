"""Leads a line from ``log.info`` to the spool without the layers of structlog that serve other set-ups."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog


@dataclass(frozen=True, slots=True)
class LineLogger:
    """What structlog wraps: a name, and where a finished line goes."""

    msg: Callable[[bytes], None]
    name: str | None = None


class _Direct(structlog.BoundLoggerBase):
    """Runs the processors, the last of which gives the line."""

    def send(self, method: str, event: str | None, fields: dict[str, Any]) -> None:
        """Make a line of ``fields``, which are used up, and write it."""
        line: Any = {**self._context, **fields} if self._context else fields
        line["event"] = event
        try:
            for process in self._processors:
                line = process(self._logger, method, line)
        except structlog.DropEvent:
            return
        self._logger.msg(line)

    def _proxy_to_logger(self, method_name: str, event: str | None = None, **event_kw: Any) -> None:
        self.send(method_name, event, event_kw)


def direct_logger(threshold: int) -> type[_Direct]:
    """The filtering logger of structlog, in which a line below ``threshold`` costs nothing, with the direct way."""
    filtering = structlog.make_filtering_bound_logger(threshold)
    levels = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
    quick = {name: _quick(name, getattr(filtering, name)) for name, level in levels.items() if level >= threshold}
    return type("DirectLogger", (_Direct, filtering), quick)


def _quick(name: str, inherited: Callable[..., None]) -> Callable[..., None]:
    def log(self: _Direct, event: str, *args: Any, **fields: Any) -> None:
        if args:  # to be put into the event
            inherited(self, event, *args, **fields)
        else:
            self.send(name, event, fields)

    return log
