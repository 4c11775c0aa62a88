"""Brings back workers that died or retired: Sanic's own process keeper only restarts those it is told to."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sanic import Sanic

log = structlog.get_logger()

LOOK_SECONDS = 0.5


class Process(Protocol):
    """A worker process as Sanic's process keeper knows it."""

    name: str

    @property
    def pid(self) -> int | None:
        """Its id, once it was started."""
        ...

    @property
    def exitcode(self) -> int | None:
        """``None`` while it runs."""
        ...


class Reviver:
    """Remembers whom it has reported, so that each death is reported once.

    Of each name that is one process, until the next one runs: a system gives the ids of processes that are gone again.
    """

    def __init__(self) -> None:
        self._reported: dict[str, int] = {}

    def newly_ended(self, processes: Iterable[Process]) -> list[tuple[str, int]]:
        """Names and exit codes of processes that have ended since the last look."""
        ended = []
        for one in processes:
            pid, exitcode = one.pid, one.exitcode
            if exitcode is None:
                self._reported.pop(one.name, None)
            elif pid and self._reported.get(one.name) != pid:
                self._reported[one.name] = pid
                ended.append((one.name, exitcode))
        return ended


def revive_workers(app: Sanic[Any, Any], _: object = None) -> None:
    """Watch the workers from a thread of the main process for as long as it runs."""
    threading.Thread(target=_watch, args=(app.manager,), name="reviver", daemon=True).start()


def _watch(keeper: Any) -> None:
    reviver = Reviver()
    while not keeper._shutting_down:  # noqa: SLF001 - Sanic keeps no public word for it
        for name, code in reviver.newly_ended(list(keeper.transient_processes)):
            if code:
                log.warning("edge.worker.died", worker=name, exit_code=code)
            else:
                log.info("edge.worker.retired", worker=name)
            keeper.monitor_publisher.send(name)
        time.sleep(LOOK_SECONDS)
