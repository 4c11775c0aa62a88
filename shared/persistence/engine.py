"""Builds the one engine of a process, with limits that keep a sick database from taking the service with it."""

from __future__ import annotations

import time
from datetime import timedelta
from math import ceil
from typing import Any

import psycopg2
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DisconnectionError, InvalidatePoolError

from shared.persistence.ahead import send_ahead
from shared.persistence.connection import Connection, has_hung_up
from shared.persistence.tracing import TracedConnection, trace_statements
from shared.tracing import recording

CONNECTIONS = 10
"""For calls. A statement takes under a millisecond, and PostgreSQL has no more cores than that to run them on."""

SPARE_CONNECTIONS = 5  # beyond the calls': relay, its lock, sweeps, health and one in hand
POOL_PATIENCE = timedelta(seconds=5)
TRUSTED_WHEN_IDLE = timedelta(seconds=5)
DEFAULT_STATEMENT_LIMIT = timedelta(seconds=30)
DEFAULT_LOCK_LIMIT = timedelta(seconds=3)
IDLE_IN_TRANSACTION_LIMIT = timedelta(seconds=30)

_USED_AT = "kirana_used_at"


def build_engine(url: str, *, application: str, connections: int = CONNECTIONS) -> Engine:
    """An engine with so many connections for calls, and some to spare for what must not wait behind them.

    Connects lazily, so the database may come up later.
    """
    engine = create_engine(
        url.replace("postgresql://", "postgresql+psycopg2://", 1),
        pool_size=connections + SPARE_CONNECTIONS,
        max_overflow=0,
        pool_timeout=POOL_PATIENCE.total_seconds(),
        pool_recycle=1800,
        connect_args={
            "connection_factory": Connection if recording.active is None else TracedConnection,
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
    send_ahead(engine)
    if recording.active is not None:
        trace_statements(engine)
    _check_idle_connections(engine)
    return engine


def milliseconds(span: timedelta) -> int:
    """As PostgreSQL counts its timeouts; never 0, which would mean none.

    Rounded up: a statement that is cut at the deadline must not be cut just before it.
    """
    return max(1, ceil(span / timedelta(milliseconds=1)))


def _check_idle_connections(engine: Engine) -> None:
    """Replace a connection the server has hung up on; ask one that was idle for long whether there is still a server.

    Between the two a server may still vanish unnoticed: then the first statement fails, before anything has happened.
    """

    def check(connection: Any, record: Any, _proxy: Any) -> None:
        if has_hung_up(connection):
            raise DisconnectionError("The server has hung up.")  # the pool then connects anew
        if time.monotonic() - record.info[_USED_AT] < TRUSTED_WHEN_IDLE.total_seconds():
            return
        try:
            engine.dialect.do_ping(connection)
        except psycopg2.Error as fault:
            raise InvalidatePoolError from fault  # all others are looked at with suspicion too

    def note_use(connection: Any, record: Any) -> None:
        if connection is not None:  # else it broke and is forgotten
            record.info[_USED_AT] = time.monotonic()
            connection.autocommit = False

    event.listen(engine, "checkout", check)
    event.listen(engine, "checkin", note_use)
    event.listen(engine, "connect", note_use)
