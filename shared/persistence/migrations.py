"""Brings a service's database to the newest version, once, however many replicas start at the same time."""

from __future__ import annotations

import time
from datetime import timedelta
from importlib.resources import files
from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

log = structlog.get_logger()

LOCK_KEY = 0x6B6972616E62  # beside the relay's
ENVIRONMENT = Path(__file__).parent / "migration_environment"
PATIENCE = timedelta(seconds=60)
PAUSE_SECONDS = 0.5

LOCK_SECONDS = 2
"""So long a migration waits for a table: everybody who comes later waits behind it, as long as it waits itself."""

_LOCK_NOT_AVAILABLE = "55P03"


def migrate(package: str, url: str, *, patience: timedelta = PATIENCE, revision: str = "head") -> None:
    """Run the migrations in ``<package>/migrations/versions`` on the database at ``url``.

    A database that a newer version has migrated is left as it is: its migrations only add, and this code can work with
    it. Waits for a database that is not up yet, for another migrator, and, a moment at a time, for tables in use.
    Raises SQLAlchemy's ``OperationalError`` when the patience is over, Alembic's errors when a migration is wrong.
    """
    give_up_at = time.monotonic() + patience.total_seconds()
    with _connect(url, give_up_at) as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LOCK_KEY})
        connection.execute(text(f"SET lock_timeout = '{LOCK_SECONDS}s'"))
        connection.commit()
        try:
            if _is_newer(package, connection):
                log.warning("database.is_newer", package=package)
                return
            _upgrade(package, connection, revision, give_up_at)
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK_KEY})
            connection.commit()
    log.info("database.migrated", package=package)


def _upgrade(package: str, connection: Connection, revision: str, give_up_at: float) -> None:
    """All of it or nothing, again until the tables could be had."""
    while True:
        try:
            command.upgrade(configuration(package, connection), revision)
        except OperationalError as fault:
            connection.rollback()
            if getattr(fault.orig, "pgcode", None) != _LOCK_NOT_AVAILABLE or time.monotonic() >= give_up_at:
                raise
            log.warning("database.migration_waits", package=package, reason=str(fault.orig).strip())
            time.sleep(PAUSE_SECONDS)
        else:
            return


def _is_newer(package: str, connection: Connection) -> bool:
    """Whether it was migrated beyond what this code knows, as after a deployment that was taken back."""
    known = {
        script.revision for script in ScriptDirectory.from_config(configuration(package, connection)).walk_revisions()
    }
    found = set(MigrationContext.configure(connection).get_current_heads())
    connection.rollback()
    return not found <= known


def configuration(package: str, connection: Connection) -> Config:
    """What Alembic needs to know; there is no ``alembic.ini``."""
    config = Config()
    config.set_main_option("script_location", str(ENVIRONMENT).replace("%", "%%"))
    config.set_main_option("version_locations", _versions_of(package).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    return config


def _versions_of(package: str) -> str:
    return str(files(package).joinpath("migrations", "versions"))


def _connect(url: str, give_up_at: float) -> Connection:
    engine = create_engine(
        url.replace("postgresql://", "postgresql+psycopg2://", 1),
        poolclass=NullPool,
        connect_args={"connect_timeout": 2, "application_name": "migrate"},
    )
    while True:
        try:
            return engine.connect()
        except OperationalError:
            if time.monotonic() >= give_up_at:
                raise
            time.sleep(PAUSE_SECONDS)
