"""The one database of a service, shared by everything in its container that needs it."""

from __future__ import annotations

import os

import structlog
from eventlet import sleep
from eventlet.support.greenlets import GreenletExit
from nameko import config
from nameko.extensions import SharedExtension
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from shared.messaging.sweeping import sweep
from shared.messaging.transactions import Scope
from shared.nameko_ext.bell import Bell
from shared.persistence.engine import CONNECTIONS, build_engine
from shared.settings.reader import Reader, positive

log = structlog.get_logger()

SWEEP_EVERY_SECONDS = 600.0


class Database(SharedExtension):
    """Engine and sessions for ``KIRANA_DATABASE_URL``. Connects when first used, so the server may be down at start."""

    scope: Scope

    def setup(self) -> None:
        """Read the address, how many calls may use it at once (``KIRANA_DATABASE_POOL``), and build the engine."""
        reader = Reader(os.environ)
        url = reader.read("DATABASE_URL", str)
        connections = reader.read("DATABASE_POOL", positive, CONNECTIONS)
        reader.finish()
        application = config.get("INSTANCE", "kirana")
        self.engine = build_engine(str(url), connections=connections, application=application)
        self.committed = Bell()
        self.scope = Scope(self.engine, at_once=connections, on_events_written=self.committed.ring)

    def start(self) -> None:
        """Begin to sweep the messaging tables now and then."""
        self._sweeper = self.container.spawn_managed_thread(self._sweep_for_ever, identifier="sweep")

    def stop(self) -> None:
        """Let go of all connections."""
        self._sweeper.kill()
        self.engine.dispose()

    def check(self) -> None:
        """Raise when the database does not answer."""
        with self.engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def _sweep_for_ever(self) -> None:
        while True:
            sleep(SWEEP_EVERY_SECONDS)
            try:
                swept = sweep(self.engine)
                log.info("messaging.swept", rows=swept)
            except GreenletExit:
                raise
            except SQLAlchemyError as fault:
                log.warning("messaging.sweep_failed", reason=type(fault).__name__)
