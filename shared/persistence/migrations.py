"""Brings a service's database to the newest version, once, however many replicas start at the same time."""

from __future__ import annotations

import time
from datetime import timedelta
from importlib.resources import files
from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

log = structlog.get_logger()

LOCK_KEY = 0x6B6972616E62  # beside the relay's
ENVIRONMENT = Path(__file__).parent / "migration_environment"
PATIENCE = timedelta(seconds=60)
PAUSE_SECONDS = 0.5


def migrate(package: str, url: str, *, patience: timedelta = PATIENCE, revision: str = "head") -> None:
    """Run the migrations in ``<package>/migrations/versions`` on the database at ``url``.

    Waits for a database that is not up yet, and for another migrator. Raises SQLAlchemy's ``OperationalError`` when the
    patience is over, Alembic's errors when a migration is wrong.
    """
    with _connect(url, patience) as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LOCK_KEY})
        connection.commit()
        try:
            command.upgrade(configuration(package, connection), revision)
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK_KEY})
            connection.commit()
    log.info("database.migrated", package=package)


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


def _connect(url: str, patience: timedelta) -> Connection:
    engine = create_engine(
        url.replace("postgresql://", "postgresql+psycopg2://", 1),
        poolclass=NullPool,
        connect_args={"connect_timeout": 2, "application_name": "migrate"},
    )
    give_up_at = time.monotonic() + patience.total_seconds()
    while True:
        try:
            return engine.connect()
        except OperationalError:
            if time.monotonic() >= give_up_at:
                raise
            time.sleep(PAUSE_SECONDS)
