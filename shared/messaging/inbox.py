"""Remembers which events a consumer has handled, in the same transaction as what it did about them."""

from __future__ import annotations

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.messaging.tables import inbox


def claim(session: Session, *, consumer: str, event_id: str) -> bool:
    """Whether this consumer sees the event for the first time. Undone when the transaction is."""
    claimed = insert(inbox).values(consumer=consumer, event_id=event_id).on_conflict_do_nothing()
    return session.execute(claimed.returning(inbox.c.event_id)).first() is not None
