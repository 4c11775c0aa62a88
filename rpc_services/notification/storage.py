"""Keeps what was written to customers, and hands it to postmen one at a time, in PostgreSQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from sqlalchemy import Row, event, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session as Transaction

from rpc_services.notification.domain import Delivery, Letter, Recipient, State
from rpc_services.notification.tables import deliveries

Transact = Callable[[], AbstractContextManager[Transaction]]


class SqlDeliveries:
    """Deliveries in the table of that name. ``on_queued`` is called when a new one is committed."""

    def __init__(self, transaction: Transaction, on_queued: Callable[[], None] = lambda: None) -> None:
        self._transaction = transaction
        self._on_queued = on_queued

    def add(self, delivery: Delivery) -> bool:
        """Gives whether it was new."""
        row = insert(deliveries).values(
            id=delivery.id,
            event_id=delivery.event_id,
            event=delivery.event,
            about=delivery.about,
            request_id=delivery.request_id,
            template=delivery.template,
            channel=delivery.channel,
            user_id=delivery.recipient.user_id,
            address=delivery.recipient.address,
            subject=delivery.letter.subject,
            text=delivery.letter.text,
            state=delivery.state,
            attempts=delivery.attempts,
            due_at=delivery.due_at,
            created_at=delivery.created_at,
        )
        added = self._transaction.execute(row.on_conflict_do_nothing().returning(deliveries.c.id)).first() is not None
        if added:
            event.listen(self._transaction, "after_commit", lambda _: self._on_queued())
        return added

    def page_of(self, user_id: str, *, before: str | None, limit: int) -> Sequence[Delivery]:
        """Ids are ordered by the time they were made, so they are the key of the page too."""
        query = select(deliveries).where(deliveries.c.user_id == user_id)
        if before is not None:
            query = query.where(deliveries.c.id < before)
        rows = self._transaction.execute(query.order_by(deliveries.c.id.desc()).limit(limit))
        return [_delivery(row) for row in rows]

    def states_about(self, subjects: Collection[str], template: str) -> Mapping[str, list[str]]:
        """Per subject the states of the messages of this template."""
        states: dict[str, list[str]] = defaultdict(list)
        wanted = deliveries.c.about.in_(subjects) & (deliveries.c.template == template)
        query = select(deliveries.c.about, deliveries.c.state).where(wanted).order_by(deliveries.c.id)
        for about, state in self._transaction.execute(query):
            states[about].append(state)
        return states


class SqlClaims:
    """The queue: due rows are claimed by moving ``due_at`` to the end of a lease, so a crash makes them due again."""

    def __init__(self, writing: Transact) -> None:
        self._writing = writing

    def claim(self, *, limit: int, at: datetime, until: datetime) -> Sequence[Delivery]:
        """Rows that another postman is claiming are skipped, not waited for."""
        waiting = deliveries.c.state.in_(["queued", "sending"]) & (deliveries.c.due_at <= at)
        due = select(deliveries.c.id).where(waiting).order_by(deliveries.c.due_at).limit(limit)
        claimed = (
            update(deliveries)
            .where(deliveries.c.id.in_(due.with_for_update(skip_locked=True).scalar_subquery()))
            .values(state="sending", due_at=until, attempts=deliveries.c.attempts + 1)
            .returning(deliveries)
        )
        with self._writing() as transaction:
            return sorted((_delivery(row) for row in transaction.execute(claimed)), key=lambda each: each.id)

    def settle(self, claimed: Delivery, state: State, *, at: datetime, due_at: datetime) -> bool:
        """The number of tries is the fence: a later claim has a higher one."""
        mine = (deliveries.c.id == claimed.id) & (deliveries.c.attempts == claimed.attempts)
        is_open = deliveries.c.state.in_(["sending", state])
        settled = {"state": state, "due_at": due_at, "sent_at": at if state == "sent" else None}
        with self._writing() as transaction:
            changed = update(deliveries).where(mine, is_open).values(**settled)
            return transaction.execute(changed.returning(deliveries.c.id)).first() is not None

    def give_back(self, unbegun: Collection[Delivery], *, at: datetime) -> None:
        """The same fence: the number of a claim is free again only once whoever had it has given it back."""
        mine = tuple_(deliveries.c.id, deliveries.c.attempts).in_([(each.id, each.attempts) for each in unbegun])
        fields = {"state": "queued", "due_at": at, "attempts": deliveries.c.attempts - 1}
        with self._writing() as transaction:
            transaction.execute(update(deliveries).where(mine, deliveries.c.state == "sending").values(**fields))


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        id=row.id,
        event_id=row.event_id,
        event=row.event,
        about=row.about,
        request_id=row.request_id,
        template=row.template,
        channel=row.channel,
        recipient=Recipient(user_id=row.user_id, address=row.address),
        letter=Letter(subject=row.subject, text=row.text),
        state=row.state,
        attempts=row.attempts,
        due_at=row.due_at,
        created_at=row.created_at,
        sent_at=row.sent_at,
    )
