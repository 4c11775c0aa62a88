"""The tables that every service with a database carries beside its own; its first migration creates them."""

from __future__ import annotations

from typing import Protocol

from sqlalchemy import JSON, BigInteger, Column, Connection, DateTime, Identity, Index, Integer, Table, Text, func, text
from sqlalchemy import MetaData as _MetaData
from sqlalchemy.dialects.postgresql import JSONB

from shared.persistence.naming import NAMING

metadata = _MetaData(naming_convention=NAMING)

operations = Table(
    "operations",
    metadata,
    Column("operation_id", Text, primary_key=True),
    Column("method", Text, nullable=False),
    Column("fingerprint", Text),
    Column("state", Text, nullable=False),
    Column("outcome", JSON),  # not JSONB: a repeated answer has its members in the first one's order
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now(), index=True),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("event_id", Text, nullable=False, unique=True),
    Column("service", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("aggregate_id", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("traceparent", Text),
    Column("data", JSONB, nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("published_at", DateTime(timezone=True)),
)
Index("ix_outbox_unpublished", outbox.c.id, postgresql_where=outbox.c.published_at.is_(None))
Index("ix_outbox_published_at", outbox.c.published_at, postgresql_where=outbox.c.published_at.is_not(None))

event_sequences = Table(
    "event_sequences",
    metadata,
    Column("aggregate_id", Text, primary_key=True),
    Column("last", BigInteger, nullable=False, server_default=text("0")),
)

inbox = Table(
    "inbox",
    metadata,
    Column("consumer", Text, primary_key=True),
    Column("event_id", Text, primary_key=True),
    Column("handled_at", DateTime(timezone=True), nullable=False, server_default=func.now(), index=True),
)


class Bound(Protocol):
    """Alembic's ``op``, as far as it is needed here."""

    def get_bind(self) -> Connection:
        """The connection the migration runs on."""


def create_messaging_tables(op: Bound) -> None:
    """Create them all; call it from ``upgrade()`` with Alembic's ``op``."""
    metadata.create_all(op.get_bind())


def drop_messaging_tables(op: Bound) -> None:
    """Drop them all; call it from ``downgrade()`` with Alembic's ``op``."""
    metadata.drop_all(op.get_bind())
