"""The composition root: settings in, a Sanic application out; nothing else wires anything together."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from edge import lifecycle, pipeline, routes
from edge.application import Application
from edge.revival import revive_workers
from edge.settings import read_settings
from edge.worker import make_worker
from shared.logs import configure

if TYPE_CHECKING:
    from edge.settings import Settings
    from edge.worker import Worker
    from shared.logs.spool import Spool

SANIC_SETTINGS: dict[str, Any] = {
    "ACCESS_LOG": False,  # the pipeline writes one canonical line per request
    "FALLBACK_ERROR_FORMAT": "json",
    "FORWARDED_SECRET": None,
    "GRACEFUL_SHUTDOWN_TIMEOUT": 15.0,
    "INSPECTOR": False,
    "KEEP_ALIVE_TIMEOUT": 30,
    "MOTD": False,
    "PROXIES_COUNT": None,
    "REAL_IP_HEADER": None,
    "REQUEST_MAX_HEADER_SIZE": 8192,
    "REQUEST_MAX_SIZE": 1_000_000,
    "REQUEST_TIMEOUT": 10,
    "RESPONSE_TIMEOUT": 15,
    "USE_UVLOOP": True,
}


def create_app(settings: Settings, *, worker: Worker | None = None, spool: Spool | None = None) -> Application:
    """Build the edge. Raises ``BadRoutes`` for a route table that the contracts contradict.

    ``worker`` is what a test puts in the place of the real connections.
    """
    table = routes.load(settings.routes)
    worker = worker or make_worker(settings)
    app = Application("kirana-edge")
    app.config.update(SANIC_SETTINGS)
    app.ctx.reception = worker.reception
    worker.serve_by(pipeline.install(app, table, worker.collaborators))
    lifecycle.attach(app, worker, spool)
    app.main_process_ready(revive_workers)
    return app


def build() -> Application:
    """Build the edge from this process's environment: the main process does, and each worker again."""
    settings = read_settings(os.environ)
    spool = configure(
        service="edge",
        instance=settings.instance,
        environment=settings.environment,
        level=settings.log_level,
        spool=settings.log_spool,
    )
    logging.getLogger("aiormq").setLevel(logging.CRITICAL)  # it reports every failed attempt; the link reports changes
    return create_app(settings, spool=spool)
