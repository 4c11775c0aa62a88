"""Ties what a worker holds to Sanic's hours: open before serving, leave on SIGTERM, close after the last answer."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psutil
import structlog

from edge.metrics.together import listener, workers_of

if TYPE_CHECKING:
    from sanic import Sanic

    from edge.worker import Worker

log = structlog.get_logger()

PARENT_CHECK_SECONDS = 0.25


def attach(app: Sanic[Any, Any], worker: Worker) -> None:
    """Let ``app`` open and close ``worker``."""

    async def open_worker(_: Sanic[Any, Any]) -> None:
        await worker.open()
        if worker.collaborators.settings.workers > 1:
            worker.keep_running(_watch_parent(psutil.Process(os.getppid())))
        elif metrics := listener(worker.collaborators.settings, lambda: [os.getpid()]):
            metrics.start()
        log.info("edge.worker.open", port=worker.collaborators.settings.port)

    async def leave(_: Sanic[Any, Any]) -> None:
        log.info("edge.worker.leaving")
        await worker.leave()

    async def close_worker(_: Sanic[Any, Any]) -> None:
        await worker.close()
        log.info("edge.worker.closed")

    def listen(app: Sanic[Any, Any], _: object = None) -> None:  # in the main process, which outlives its workers
        if metrics := listener(worker.collaborators.settings, lambda: workers_of(app.manager)):
            metrics.start()

    app.main_process_ready(listen)
    app.before_server_start(open_worker)
    app.before_server_stop(leave)
    app.after_server_stop(close_worker)


async def _watch_parent(parent: psutil.Process) -> None:
    """A worker whose main process was killed would keep the port, and the next main process could not start."""
    family = parent.children()  # Sanic's bookkeeper among them, which would never notice by itself
    while os.getppid() == parent.pid:  # noqa: ASYNC110 - the kernel tells of a parent's end only to those who ask
        await asyncio.sleep(PARENT_CHECK_SECONDS)
    log.warning("edge.worker.orphaned")
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
