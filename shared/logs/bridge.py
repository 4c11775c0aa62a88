"""Brings what libraries log through the standard library (sanic, nameko, kombu, sqlalchemy) into the same lines."""

from __future__ import annotations

import logging
import sys
import threading
from types import TracebackType

from shared.logs.context import add_bound_fields
from shared.logs.rendering import Renderer
from shared.logs.spool import Spool

_CHATTY = {
    "amqp": logging.WARNING,
    "aiormq": logging.WARNING,
    "asyncio": logging.WARNING,
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "kombu": logging.WARNING,
    "nameko.containers": logging.ERROR,  # at every stop it warns of each greenlet that it ends
    "mail.log": logging.WARNING,  # aiosmtpd's transcript of every session
    "urllib3": logging.WARNING,
    "sanic.access": logging.CRITICAL,  # the canonical line says it
    "sqlalchemy.engine": logging.WARNING,  # at info it logs parameters, which are person data
}


class LineHandler(logging.Handler):
    """Writes a record as a line. Takes no lock: a line is one ``write``, and locks are green in a service."""

    def __init__(self, renderer: Renderer, spool: Spool) -> None:
        super().__init__()
        self._renderer = renderer
        self._spool = spool

    def handle(self, record: logging.LogRecord) -> bool:
        """Write the record if no filter minds; the lock of the base class is left out on purpose."""
        kept = bool(self.filter(record))
        if kept:
            self.emit(record)
        return kept

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; never raises."""
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - wrong arguments of a library's own log call
            message = str(record.msg)
        head = {"log.level": record.levelname.lower(), "log.logger": record.name}
        fields = add_bound_fields(None, "", {"exc_info": record.exc_info or None})
        self._spool.write(self._renderer.line(message, head, fields))


def bridge_standard_library(renderer: Renderer, spool: Spool, level: int) -> None:
    """Make every stdlib logger end in one handler, and let an uncaught exception be a line too."""
    root = logging.getLogger()
    root.handlers[:] = [LineHandler(renderer, spool)]
    root.setLevel(level)
    for logger in [item for item in logging.Logger.manager.loggerDict.values() if isinstance(item, logging.Logger)]:
        logger.handlers.clear()
        logger.propagate = True
    for name, least in _CHATTY.items():
        logging.getLogger(name).setLevel(max(level, least))
    logging.captureWarnings(capture=True)
    _report_crashes()


def _report_crashes() -> None:
    crash = logging.getLogger("process")

    def of_process(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
            return
        crash.critical("process.crashed", exc_info=(kind, error, trace))

    def of_thread(crashed: threading.ExceptHookArgs) -> None:
        if crashed.exc_value is not None:
            crash.error("thread.crashed", exc_info=(crashed.exc_type, crashed.exc_value, crashed.exc_traceback))

    sys.excepthook = of_process
    threading.excepthook = of_thread
