"""Holds: one row per order says how its stock stands, and whoever changes that must have it locked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Row, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from rpc_services.catalog.domain import Hold, State
from rpc_services.catalog.tables import reservation_lines, reservations
from shared.contracts.catalog import Product, ReservedLine


class SqlHolds:
    """Fulfils ``Holds``."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def claim(self, hold: Hold, at: datetime) -> Hold | None:
        """The insert waits for any other transaction that is writing the first hold of this order."""
        row = {"order_id": hold.order_id, "state": hold.state, "expires_at": hold.expires_at}
        claimed = upsert(reservations).values(**row, created_at=at, updated_at=at).on_conflict_do_nothing()
        if self._session.execute(claimed.returning(reservations.c.order_id)).first() is not None:
            return None
        return self.lock(hold.order_id)

    def lock(self, order_id: str) -> Hold | None:
        """By order."""
        query = select(reservations).where(reservations.c.order_id == order_id).with_for_update(key_share=True)
        row = self._session.execute(query).one_or_none()
        return _hold_of(row) if row else None

    def lock_overdue(self, at: datetime, limit: int) -> list[Hold]:
        """The oldest first, passing over those that are being confirmed, released or swept elsewhere."""
        overdue = (reservations.c.state == State.HELD, reservations.c.expires_at < at)
        query = select(reservations).where(*overdue).order_by(reservations.c.expires_at).limit(limit)
        rows = self._session.execute(query.with_for_update(key_share=True, skip_locked=True))
        return [_hold_of(row) for row in rows]

    def write_lines(self, order_id: str, lines: Sequence[ReservedLine]) -> None:
        """One row per product."""
        rows = [
            {
                "order_id": order_id,
                "product_id": line.product.id,
                "quantity": line.quantity,
                "product": msgspec.to_builtins(line.product),
            }
            for line in lines
        ]
        self._session.execute(insert(reservation_lines), rows)

    def lines(self, order_id: str) -> list[ReservedLine]:
        """In the order of product ids."""
        query = select(reservation_lines).where(reservation_lines.c.order_id == order_id)
        rows = self._session.execute(query.order_by(reservation_lines.c.product_id))
        return [ReservedLine(product=msgspec.convert(row.product, Product), quantity=row.quantity) for row in rows]

    def turn(self, hold: Hold, at: datetime) -> None:
        """The row is locked by the caller."""
        turned = {"state": hold.state, "expires_at": hold.expires_at, "updated_at": at}
        self._session.execute(update(reservations).where(reservations.c.order_id == hold.order_id).values(**turned))


def _hold_of(row: Row[Any]) -> Hold:
    return Hold(row.order_id, State(row.state), row.expires_at)
