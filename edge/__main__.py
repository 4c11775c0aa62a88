"""Starts the edge: ``python -m edge``."""

from __future__ import annotations

import os
import sys

from sanic import Sanic
from sanic.worker.loader import AppLoader

from edge.app import build
from edge.checks import BadRoutes
from edge.protocol import StrictProtocol
from edge.settings import read_settings
from shared.settings.reader import BadSettings

BACKLOG = 1024


def main() -> None:
    """Serve until SIGTERM. Exits with 78 (``EX_CONFIG``) after naming every fault of settings or routes.

    One worker is served by this very process, whose supervisor restarts it; more of them have a main process of
    their own that does.
    """
    try:
        settings = read_settings(os.environ)
        os.environ["KIRANA_INSTANCE"] = settings.instance  # workers take the name of the whole
        loader = AppLoader(factory=build)
        app = loader.load()
    except (BadSettings, BadRoutes) as fault:
        sys.stderr.write(f"{fault}\n")
        raise SystemExit(78) from None
    is_alone = settings.workers == 1
    app.prepare(
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        single_process=is_alone,
        protocol=StrictProtocol,
        backlog=BACKLOG,
        access_log=False,
        motd=False,
    )
    if is_alone:
        Sanic.serve_single(primary=app)
    else:
        Sanic.serve(primary=app, app_loader=loader)


if __name__ == "__main__":
    main()
