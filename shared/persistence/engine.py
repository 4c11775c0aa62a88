"""Builds the one engine of a process, with limits that keep a sick database from taking the service with it."""

from __future__ import annotations

from datetime import timedelta
from math import ceil

from sqlalchemy import Engine, create_engine

SPARE_CONNECTIONS = 5  # beyond the workers: relay, its lock, sweeps, health and one in hand
DEFAULT_STATEMENT_LIMIT = timedelta(seconds=30)
DEFAULT_LOCK_LIMIT = timedelta(seconds=3)
IDLE_IN_TRANSACTION_LIMIT = timedelta(seconds=30)


def build_engine(url: str, *, workers: int, application: str) -> Engine:
    """An engine with a connection for each worker. Connects lazily, so the database may come up later."""
    return create_engine(
        url.replace("postgresql://", "postgresql+psycopg2://", 1),
        pool_size=workers + SPARE_CONNECTIONS,
        max_overflow=0,
        pool_pre_ping=True,
        pool_timeout=2,
        pool_recycle=1800,
        connect_args={
            "connect_timeout": 2,
            "application_name": application[:60],
            "keepalives": 1,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 4000,
            "options": (
                f"-c statement_timeout={milliseconds(DEFAULT_STATEMENT_LIMIT)} "
                f"-c lock_timeout={milliseconds(DEFAULT_LOCK_LIMIT)} "
                f"-c idle_in_transaction_session_timeout={milliseconds(IDLE_IN_TRANSACTION_LIMIT)}"
            ),
        },
    )


def milliseconds(span: timedelta) -> int:
    """As PostgreSQL counts its timeouts; never 0, which would mean none.

    Rounded up: a statement that is cut at the deadline must not be cut just before it.
    """
    return max(1, ceil(span / timedelta(milliseconds=1)))
