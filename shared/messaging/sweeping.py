"""Forgets what nobody will ask for again, in batches small enough that no caller notices."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Column, ColumnElement, Engine, Table, delete, func, select
from sqlalchemy.sql.elements import literal_column

from shared.messaging.tables import inbox, operations, outbox

BATCH = 500


@dataclass(frozen=True)
class Keeping:
    """How long the rows of a table are kept after the moment in ``since``."""

    table: Table
    key: Column[object]
    since: Column[object]
    span: timedelta

    def is_due(self) -> ColumnElement[bool]:
        """Older than they are kept."""
        return self.since < func.now() - literal_column(f"interval '{int(self.span.total_seconds())} seconds'")


KEEPINGS = (
    Keeping(operations, operations.c.operation_id, operations.c.created_at, timedelta(hours=48)),
    Keeping(outbox, outbox.c.id, outbox.c.published_at, timedelta(hours=24)),
    Keeping(inbox, inbox.c.event_id, inbox.c.handled_at, timedelta(days=7)),
)


def sweep(engine: Engine) -> int:
    """Delete what is due, a batch per transaction. Gives how many rows went."""
    return sum(_sweep_one(engine, keeping) for keeping in KEEPINGS)


def _sweep_one(engine: Engine, keeping: Keeping) -> int:
    swept = 0
    due = select(keeping.key).where(keeping.is_due()).limit(BATCH)
    while True:
        with engine.begin() as connection:
            gone = connection.execute(
                delete(keeping.table).where(keeping.key.in_(due.scalar_subquery()), keeping.is_due())
            ).rowcount
        swept += gone
        if gone < BATCH:
            return swept
