"""Orders in PostgreSQL, as their buyers and auditors read them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Row, Select, func, insert, select, update
from sqlalchemy.orm import Session

from rpc_services.order import answers
from rpc_services.order.domain import (
    SHOWN,
    Axis,
    FulfilmentStatus,
    Item,
    Order,
    PaymentStatus,
    Status,
    Terms,
    Totals,
    Transition,
)
from rpc_services.order.tables import order_history, order_items, orders
from shared.contracts import order as contract
from shared.contracts.catalog import Product
from shared.contracts.events import ORDER_CANCELLED
from shared.contracts.order import InvalidTransition
from shared.messaging import outbox
from shared.values.money import Money
from shared.values.times import Clock

LEASE = timedelta(seconds=10)
"""Longer than a first run may take (its deadline is 8 s): only what has surely died is taken up."""

MANY_DUPLICATES = 100


class SqlOrders:
    """Orders within one transaction. Only acknowledged ones are found by their buyers."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def of_user(self, user_id: str, order_ids: Sequence[str]) -> list[Order]:
        """Those of them that are this user's."""
        return self._read(_shown(user_id).where(orders.c.id.in_(order_ids)))

    def lock(self, user_id: str, order_id: str) -> Order | None:
        """One of this user's, locked until the transaction ends."""
        found = self._read(_shown(user_id).where(orders.c.id == order_id).with_for_update())
        return found[0] if found else None

    def page(self, user_id: str, before: str | None, limit: int) -> list[Order]:
        """Ids are ordered by the time they were made, so they are the pages' key."""
        query = _shown(user_id).order_by(orders.c.id.desc()).limit(limit)
        return self._read(query if before is None else query.where(orders.c.id < before))

    def history(self, order_id: str) -> list[Transition]:
        """Every transition, oldest first."""
        rows = self._session.execute(
            select(order_history).where(order_history.c.order_id == order_id).order_by(order_history.c.id)
        )
        return [
            Transition(
                at=row.at, axis=Axis(row.axis), before=row.before, after=row.after, actor=row.actor, reason=row.reason
            )
            for row in rows
        ]

    def cancel(self, order: Order, steps: list[Transition]) -> None:
        """Guarded: only the version that was looked at is cancelled. Raises :class:`InvalidTransition`."""
        moved = self._session.execute(
            update(orders)
            .where(orders.c.id == order.id, orders.c.version == order.version - 1)
            .values(
                status=order.status,
                payment_status=order.payment_status,
                updated_at=order.updated_at,
                version=order.version,
                release_due=order.release_due,
                resume_at=order.updated_at + LEASE,
            )
            .returning(orders.c.id)
        )
        if moved.first() is None:
            raise InvalidTransition(status=order.status)
        write_history(self._session, order.id, steps)
        outbox.add(self._session, ORDER_CANCELLED, aggregate_id=order.id, data=answers.cancelled(order))

    def _read(self, query: Select[Any]) -> list[Order]:
        rows = self._session.execute(query).all()
        return read_orders(self._session, rows)


class Rows(NamedTuple):
    """An order as the database keeps it. Its items have rows of their own once it is priced."""

    order: Row[Any]
    items: list[Row[Any]]

    def read(self) -> Order:
        """The order. What a later version wrote into it beside what is known here is passed over.

        Raises ``ValueError`` or ``msgspec.ValidationError`` when this cannot be read.
        """
        row = self.order
        items = msgspec.convert(row.lines, list[Item]) if row.total is None else _frozen(self.items)
        return Order(
            id=row.id,
            number=row.number,
            user_id=row.user_id,
            operation_id=row.operation_id,
            items=tuple(items),
            terms=replace(msgspec.convert(row.terms, Terms), cart_state=row.cart_state),
            created_at=row.created_at,
            updated_at=row.updated_at,
            status=Status(row.status),
            payment_status=PaymentStatus(row.payment_status),
            fulfilment_status=FulfilmentStatus(row.fulfilment_status),
            totals=None if row.total is None else _totals(row),
            version=row.version,
            release_due=row.release_due,
        )


def rows_of(session: Session, order_ids: Sequence[str]) -> dict[str, Rows]:
    """The rows of acknowledged orders, whosever they are, by id: for many who ask for one each."""
    shown = select(orders).where(orders.c.id.in_(order_ids), orders.c.status.in_(SHOWN))
    found = {row.id: Rows(row, []) for row in session.execute(shown)}
    for item in _items_of(session, list(found)) if found else ():
        found[item.order_id].items.append(item)
    return found


class LoadedOrders:
    """Orders by their ids, with rows that ``load`` fetches one by one, or together with others' rows."""

    def __init__(self, load: Callable[[str], Rows | None]) -> None:
        self._load = load

    def of_user(self, user_id: str, order_ids: Sequence[str]) -> list[Order]:
        """Those of them that are this user's: to anybody else they do not exist."""
        rows = [self._load(order_id) for order_id in dict.fromkeys(order_ids)]
        return [row.read() for row in rows if row is not None and row.order.user_id == user_id]


class SqlBooks:
    """What an auditor reads."""

    def __init__(self, session: Session, *, clock: Clock) -> None:
        self._session = session
        self._clock = clock

    def page(self, after_order_id: str, limit: int) -> list[contract.AuditedOrder]:
        """Orders of every state, by id."""
        rows = self._session.execute(
            select(orders).where(orders.c.id > after_order_id).order_by(orders.c.id).limit(limit)
        )
        at = self._clock()
        return [
            contract.AuditedOrder(
                id=row.id,
                number=row.number,
                user_id=row.user_id,
                status=row.status,
                units=row.units,
                operation_id=row.operation_id,
                age_seconds=(at - row.created_at).total_seconds(),
            )
            for row in rows
        ]

    def duplicates(self) -> list[str]:
        """The unique key forbids them; an audit does not take its word for it."""
        query = select(orders.c.operation_id).group_by(orders.c.operation_id).having(func.count() > 1)
        return list(self._session.execute(query.limit(MANY_DUPLICATES)).scalars())

    def oldest_outbox_seconds(self) -> float:
        """How long the oldest unpublished event has waited."""
        return outbox.oldest_unpublished_seconds(self._session)


def write_history(session: Session, order_id: str, steps: Sequence[Transition]) -> None:
    """Append these steps."""
    session.execute(
        insert(order_history),
        [
            {
                "order_id": order_id,
                "at": step.at,
                "axis": step.axis.value,
                "before": step.before,
                "after": step.after,
                "actor": step.actor,
                "reason": step.reason,
            }
            for step in steps
        ],
    )


def read_orders(session: Session, rows: Sequence[Row[Any]]) -> list[Order]:
    """Turn rows into orders. Raises what :meth:`Rows.read` raises."""
    return [each.read() for each in with_items(session, rows)]


def with_items(session: Session, rows: Sequence[Row[Any]]) -> list[Rows]:
    """These with the items of all of them, in one more query if any is priced."""
    found = {row.id: Rows(row, []) for row in rows}
    priced = [row.id for row in rows if row.total is not None]
    for item in _items_of(session, priced) if priced else ():
        found[item.order_id].items.append(item)
    return list(found.values())


def _items_of(session: Session, order_ids: Sequence[str]) -> Sequence[Row[Any]]:
    """In their order within each order."""
    query = select(order_items).where(order_items.c.order_id.in_(order_ids)).order_by(order_items.c.position)
    return session.execute(query).all()


def _frozen(items: Sequence[Row[Any]]) -> list[Item]:
    return [
        Item(id=row.id, product_id=row.product_id, quantity=row.quantity, product=msgspec.convert(row.product, Product))
        for row in items
    ]


def _shown(user_id: str) -> Select[Any]:
    return select(orders).where(orders.c.user_id == user_id, orders.c.status.in_(SHOWN))


def _totals(row: Row[Any]) -> Totals:
    return Totals(
        subtotal=Money(row.subtotal, row.currency),
        tax=Money(row.tax, row.currency),
        shipping=Money(row.shipping, row.currency),
    )
