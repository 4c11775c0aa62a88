"""Sets a process up for logging, once, before anything else of it runs."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import structlog

from shared.logs.bridge import bridge_standard_library
from shared.logs.context import add_bound_fields
from shared.logs.logger import LineLogger, direct_logger
from shared.logs.rendering import Renderer
from shared.logs.spool import STDOUT, Spool
from shared.release import VERSION


def configure(  # noqa: PLR0913 - each is a fact of the process; keywords keep them apart
    *,
    service: str,
    instance: str,
    environment: str = "local",
    level: str = "info",
    spool: Path | None = None,
    stdout: int | None = STDOUT,
) -> Spool:
    """Send every log line of this process to stdout and to ``<spool>/<instance>.jsonl``.

    Call it after eventlet has patched (if it does) and before loggers are used. Calling it again replaces the set-up.
    """
    threshold = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    lines = Spool(spool / f"{instance}.jsonl" if spool else None, stdout=stdout)
    renderer = Renderer(
        {
            "service.name": service,
            "service.node.name": instance,
            "service.environment": environment,
            "service.version": VERSION,
            "event.dataset": f"kirana.{service}",
            "process.pid": os.getpid(),
        }
    )

    def make_logger(*names: Any) -> LineLogger:
        return LineLogger(lines.write, str(names[0]) if names else None)

    structlog.configure(
        processors=[add_bound_fields, renderer],
        wrapper_class=direct_logger(threshold),
        context_class=dict,
        logger_factory=make_logger,
        cache_logger_on_first_use=True,
    )
    bridge_standard_library(renderer, lines, threshold)
    return lines
