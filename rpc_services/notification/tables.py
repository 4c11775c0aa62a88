"""The table of notification's database."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, DateTime, Index, Integer, MetaData, Table, Text, UniqueConstraint, Uuid

from shared.persistence.naming import NAMING

metadata = MetaData(naming_convention=NAMING)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("event_id", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("about", Text, nullable=False, index=True),
    Column("request_id", Text, nullable=False),
    Column("template", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("user_id", Uuid(as_uuid=False), nullable=False),
    Column("address", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", DateTime(timezone=True), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("sent_at", DateTime(timezone=True)),
    UniqueConstraint("event_id", "user_id", "channel", "template"),
    CheckConstraint("state IN ('queued', 'sending', 'sent', 'failed', 'dead')", name="state"),
    CheckConstraint("(state = 'sent') = (sent_at IS NOT NULL)", name="sent_with_time"),
)
Index("ix_deliveries_of_user", deliveries.c.user_id, deliveries.c.id.desc())
Index("ix_deliveries_due", deliveries.c.due_at, postgresql_where=deliveries.c.state.in_(["queued", "sending"]))
