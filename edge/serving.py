"""Serves the edge in this process and its workers, until it is told to stop."""

from __future__ import annotations

import resource
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sanic import Sanic
from sanic.mixins import startup
from sanic.worker.loader import AppLoader
from sanic.worker.manager import WorkerManager

from edge.protocol import StrictProtocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.settings import Settings

BACKLOG = 1024
OTHER_FILES = 500
"""File descriptors that a worker may need for all but its clients: links, logs, Redis, Consul."""


class Manager(WorkerManager):
    """Sanic's own, told to end before its workers have said that they serve, would wait for that for ever.

    And it would hold the listening socket to the very end, so that who comes when all workers have closed theirs would
    be let in and served by nobody.
    """

    def _all_workers_ack(self) -> bool:
        return self._shutting_down or super()._all_workers_ack()  # type: ignore[no-untyped-call]

    def join(self) -> None:
        """No worker is started any more, which would need the socket: the port closes with the last one's."""
        self._server_settings["sock"].close()
        super().join()  # type: ignore[no-untyped-call]


def serve(settings: Settings, build: Callable[[], Sanic[Any, Any]]) -> None:
    """Serve what ``build`` makes until SIGTERM; this process calls it, and each worker again.

    One worker is served by this very process, whose supervisor restarts it; more of them, or one that is replaced now
    and then, have a main process of their own that does. All workers take from one listening socket, which stays open
    while any of them comes or goes, until all are told to end. Raises what ``build`` raises.
    """
    loader = AppLoader(factory=build)
    app = loader.load()
    allow_files(settings.connections + OTHER_FILES)
    app.prepare(
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        single_process=settings.is_alone,
        protocol=StrictProtocol,
        backlog=BACKLOG,
        access_log=False,
        motd=False,
    )
    if settings.is_alone:
        Sanic.serve_single(primary=app)
    else:
        startup.WorkerManager = Manager  # type: ignore[attr-defined]
        Sanic.serve(primary=app, app_loader=loader)


def allow_files(wanted: int) -> int:
    """Let this process and its children open so many files, as far as the system permits; gives the limit in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= limit:
        return soft
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def places(wanted: int) -> int:
    """How many connections a worker can have: no more than it may open files, or accepting itself would fail."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return wanted if limit == resource.RLIM_INFINITY else max(1, min(wanted, limit - min(OTHER_FILES, limit // 2)))
