"""Events are rows written with the change they tell of, so that neither exists without the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from shared.contracts.events import EventType
from shared.messaging.call import current
from shared.messaging.tables import event_sequences, outbox
from shared.values.identifiers import new_id

WROTE_EVENTS = "kirana.wrote_events"
BATCH = 100


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


def unpublished(connection: Connection, limit: int = BATCH) -> Sequence[Row[Any]]:
    """The oldest events that were not published yet, in the order they were written."""
    return connection.execute(
        select(outbox).where(outbox.c.published_at.is_(None)).order_by(outbox.c.id).limit(limit)
    ).all()


def mark_published(connection: Connection, ids: Sequence[int]) -> None:
    """The broker has confirmed these."""
    connection.execute(update(outbox).where(outbox.c.id.in_(ids)).values(published_at=func.now()))


def oldest_unpublished_seconds(session: Session) -> float:
    """The age of the oldest event that waits; 0 when none does."""
    age: ColumnElement[Any] = func.extract("epoch", func.now() - func.min(outbox.c.occurred_at))
    return float(session.execute(select(age).where(outbox.c.published_at.is_(None))).scalar() or 0.0)


def _next_sequence(session: Session, aggregate_id: str) -> int:
    counted = upsert(event_sequences).values(aggregate_id=aggregate_id, last=1)
    counted = counted.on_conflict_do_update(index_elements=["aggregate_id"], set_={"last": event_sequences.c.last + 1})
    return int(session.execute(counted.returning(event_sequences.c.last)).scalar_one())
