"""Ties what a worker holds to Sanic's hours: open before serving, leave on SIGTERM, close after the last answer."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import threading
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

import psutil
import structlog

from edge.metrics.together import listener, workers_of
from edge.reception import Reception
from edge.serving import places
from shared.garbage import leave_out_what_lives

if TYPE_CHECKING:
    from sanic import Sanic

    from edge.worker import Worker
    from shared.logs.spool import Spool

log = structlog.get_logger()

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PARENT_CHECK_SECONDS = 0.25
LOOK_SECONDS = 0.05
SUCCESSION_SECONDS = 3.0
"""So long a successor may take to serve, before the next worker retires."""

RETIREMENT_SPREAD = 0.1
"""Workers retire after up to a tenth more requests than asked, so that they do not all go at once."""


def attach(app: Sanic[Any, Any], worker: Worker, spool: Spool | None = None) -> None:
    """Let ``app`` open and close ``worker``, and write its lines to ``spool`` turn by turn."""
    stay = Stay(app, worker, spool)

    def listen(app: Sanic[Any, Any], _: object = None) -> None:  # in the main process, which outlives its workers
        if metrics := listener(worker.collaborators.settings, lambda: workers_of(app.manager)):
            metrics.start()

    app.main_process_ready(listen)
    app.before_server_start(stay.begin)
    app.after_server_start(stay.listen_for_the_end)
    app.before_server_stop(stay.leave)
    app.after_server_stop(stay.end)


class Stay:
    """One worker's time in service."""

    def __init__(self, app: Sanic[Any, Any], worker: Worker, spool: Spool | None) -> None:
        self._app = app
        self._worker = worker
        self._spool = spool
        self._settings = worker.collaborators.settings
        self._reception = worker.reception
        self._reception.most = places(self._settings.connections)
        self._is_replaced = False
        self._leaving: asyncio.Task[None] | None = None
        self._turn: socket.socket | None = None

    async def begin(self, _: object) -> None:
        """Open everything, and watch over what may end this worker's time."""
        await self._worker.open()
        if not self._settings.is_alone:
            self._worker.keep_running(_watch_parent(psutil.Process(os.getppid())))
        elif metrics := listener(self._settings, lambda: [os.getpid()]):
            metrics.start()
        if self._settings.worker_requests:
            self._worker.keep_running(self._retire())
        if self._spool is not None:
            self._spool.gather(asyncio.get_running_loop().call_soon)
        leave_out_what_lives()
        log.info("edge.worker.open", port=self._settings.port, connections=self._reception.most)

    async def listen_for_the_end(self, _: object) -> None:
        """Sanic listens for signals by now; one more after the first would find nobody and end this process."""
        for number in SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._stop)

    async def leave(self, _: object) -> None:
        """Let no new requests come. Sanic may ask twice, as stopping the loop can end its first question."""
        self._leaving = self._leaving or asyncio.create_task(self._leave())
        await asyncio.shield(self._leaving)

    async def end(self, _: object) -> None:
        """Let go of everything."""
        await self._worker.close()
        log.info("edge.worker.closed")
        if self._spool is not None:
            self._spool.gather(None)

    async def _leave(self) -> None:
        """Not ready, then out of Consul; answers end their connections meanwhile. Who still comes is served.

        Whoever sends requests here may learn only after a while that this edge leaves: it stays for all that time, even
        if nobody is here at the moment. A worker that is replaced stays only for those whom it has.
        """
        log.info("edge.worker.leaving", replaced=self._is_replaced)
        _hear_no_more_signals()
        if not self._is_replaced:  # else the edge as a whole stays ready
            self._worker.health.leave()
        self._reception.drain()
        until = monotonic() + self._settings.drain_seconds
        await self._worker.leave()
        if self._is_replaced:
            await _while_anybody_is_here(self._reception, until)
        else:
            await asyncio.sleep(until - monotonic())

    async def _retire(self) -> None:
        """After so many requests make room for a successor, one worker of an edge at a time.

        This worker's place is taken over as soon as its process has ended; meanwhile new connections go to the others,
        or wait at the listening socket, which the main process keeps open.
        """
        most = self._settings.worker_requests * (1 + random.random() * RETIREMENT_SPREAD)  # noqa: S311 - no secret
        while self._reception.requests < most:  # noqa: ASYNC110 - as below
            await asyncio.sleep(LOOK_SECONDS)
        self._turn = await _turn_to_retire(self._settings.port)
        await asyncio.sleep(SUCCESSION_SECONDS)
        log.info("edge.worker.retires", requests=self._reception.requests)
        self._is_replaced = True
        self._stop()

    def _stop(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        self._app.stop(terminate=False)


async def _turn_to_retire(port: int) -> socket.socket:
    """Held until this process ends: a name in the kernel, which only one can have at a time."""
    turn = socket.socket(socket.AF_UNIX)
    while True:
        try:
            turn.bind(f"\0kirana-edge-retiring-{port}")
        except OSError:
            await asyncio.sleep(LOOK_SECONDS)
        else:
            return turn


async def _while_anybody_is_here(reception: Reception, until: float) -> None:
    while reception.open_connections and monotonic() < until:  # noqa: ASYNC110 - a look costs less than an event each
        await asyncio.sleep(LOOK_SECONDS)


def _hear_no_more_signals() -> None:
    """A second signal, as a terminal and a supervisor send, would end this process with requests in its hands."""
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)


async def _watch_parent(parent: psutil.Process) -> None:
    """A worker whose main process was killed would keep the port, and the next main process could not start."""
    family = parent.children()  # Sanic's bookkeeper among them, which would never notice by itself
    while os.getppid() == parent.pid:  # noqa: ASYNC110 - the kernel tells of a parent's end only to those who ask
        await asyncio.sleep(PARENT_CHECK_SECONDS)
    log.warning("edge.worker.orphaned")
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
