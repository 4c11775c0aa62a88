"""Events are rows written with the change they tell of, so that neither exists without the other."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Select, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from shared.contracts.events import EventType
from shared.messaging.call import current
from shared.messaging.tables import event_sequences, outbox
from shared.values.identifiers import new_id

WROTE_EVENTS = "kirana.wrote_events"
BATCH = 100
_WAITS = outbox.c.published_at.is_(None)


def add(session: Session, event_type: EventType, *, aggregate_id: str, data: msgspec.Struct) -> str:
    """Write the event in this transaction; it is published after the commit. Gives its id.

    The sequence of the aggregate counts up under its row's lock, which also keeps its events in order.
    """
    event_id = new_id()
    call = current()
    session.execute(
        insert(outbox).values(
            event_id=event_id,
            service=event_type.service,
            type=event_type.name,
            version=event_type.version,
            aggregate_id=aggregate_id,
            sequence=_next_sequence(session, aggregate_id),
            request_id=call.request_id,
            traceparent=call.traceparent,
            data=msgspec.to_builtins(data),
        )
    )
    session.info[WROTE_EVENTS] = True
    return event_id


def unpublished(connection: Connection, *, without: Collection[str] = ()) -> Sequence[Row[Any]]:
    """The oldest events that were not published yet, in the order they were written.

    ``without`` these types, and without what an aggregate wrote after an event of such a type.
    """
    rows = select(outbox).where(_WAITS).order_by(outbox.c.id).limit(BATCH)
    if without:
        rows = rows.where(outbox.c.id.in_(_not_behind(without)))
    return connection.execute(rows).all()


def waiting_since(connection: Connection) -> datetime | None:
    """When the oldest event that waits was written; ``None`` when none does."""
    oldest = select(outbox.c.occurred_at).where(_WAITS).order_by(outbox.c.id).limit(1)
    return connection.execute(oldest).scalar()


def mark_published(connection: Connection, ids: Sequence[int]) -> None:
    """The broker has confirmed these."""
    connection.execute(update(outbox).where(outbox.c.id.in_(ids)).values(published_at=func.now()))


def oldest_unpublished_seconds(session: Session) -> float:
    """The age of the oldest event that waits; 0 when none does."""
    age: ColumnElement[Any] = func.extract("epoch", func.now() - func.min(outbox.c.occurred_at))
    return float(session.execute(select(age).where(_WAITS)).scalar() or 0.0)


def _not_behind(types: Collection[str]) -> Select[int]:
    """A batch of the oldest that wait with no event of these types at or before them in their aggregate.

    A window reads them all once, whatever the planner believes of their number; a join may read them once for each.
    """
    is_behind = func.bool_or(outbox.c.type.in_(types)).over(partition_by=outbox.c.aggregate_id, order_by=outbox.c.id)
    waiting = select(outbox.c.id, is_behind.label("is_behind")).where(_WAITS).subquery()
    return select(waiting.c.id).where(~waiting.c.is_behind).order_by(waiting.c.id).limit(BATCH)


def _next_sequence(session: Session, aggregate_id: str) -> int:
    counted = upsert(event_sequences).values(aggregate_id=aggregate_id, last=1)
    counted = counted.on_conflict_do_update(index_elements=["aggregate_id"], set_={"last": event_sequences.c.last + 1})
    return int(session.execute(counted.returning(event_sequences.c.last)).scalar_one())
