"""The saga's desk in PostgreSQL: each step is a guarded change of the order's row, beside the operation's record."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import Any

import structlog
from msgspec import to_builtins
from sqlalchemy import ColumnElement, Select, and_, delete, func, insert, or_, select, union_all, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from rpc_services.order import answers
from rpc_services.order.domain import Order, Status, Terms, Transition
from rpc_services.order.saga import LATELY
from rpc_services.order.storage import LEASE, Rows, read_orders, with_items, write_history
from rpc_services.order.tables import order_items, orders
from shared.contracts.cart import CartOrdered
from shared.contracts.events import ORDER_PLACED
from shared.contracts.refusals import Internal, KeyReused, Refusal, StillRunning, Unavailable
from shared.messaging import operations, outbox
from shared.messaging.call import Call
from shared.messaging.tables import operations as operations_table
from shared.messaging.transactions import Scope
from shared.metrics import trade
from shared.values.identifiers import first_id_at
from shared.values.times import Clock

log = structlog.get_logger()

MOST_DOUBLINGS = 3
FEW = 3
"""More than the last one, as replicas' clocks, by which ids are sorted, differ a little."""


class SqlDesk:
    """The desk for one call. What lies pending past its lease may be taken up by anybody."""

    def __init__(self, scope: Scope, call: Call, *, clock: Clock) -> None:
        self._scope = scope
        self._call = call
        self._clock = clock

    def first_answer(self) -> Any | None:
        """Wait up to a second for the first run."""
        replay = self._scope.wait_for_first_run(self._call)
        return None if replay is None else replay.give()

    def checkouts(self, user_id: str) -> list[Order]:
        """The last few: each was opened only when those before it were settled, so more could not be wanting.

        Not all of the hour: a cart remembers a hundred, and would let go of a forgotten one's goods once more.
        What is pending is not read: it decides, even if no code of this release can read it.
        """
        with self._scope.reading() as session:
            rows = session.execute(self._checkouts_of(user_id, orders)).all()
            if any(row.status == Status.PENDING for row in rows):
                raise CartOrdered
            return read_orders(session, rows)

    def open(self, order: Order, *, settled: Collection[str] = ()) -> Any | None:
        """Claim the operation and write the order in one transaction."""
        try:
            with self._scope.writing() as session:
                replay = operations.begin(session, self._call)
                if replay is None and (refusal := self._add(session, order, settled)):
                    replay = operations.finish(session, self._call.operation_id, refusal=refusal)
                    replay = replay or operations.Replay(refusal=refusal)
            if replay is None:
                trade.order("opened")
        except StillRunning:
            earlier = self.first_answer()
            if earlier is None:  # withdrawn while we waited: whoever asks again begins afresh
                raise
            return earlier
        return None if replay is None else replay.give()

    def confirm(self, order: Order, steps: list[Transition]) -> Order:
        """Only whoever moves the row writes items, history, event and answer."""
        with self._scope.writing() as session:
            if self._leave_pending(session, order, _confirmed_values(order)):
                session.execute(insert(order_items), _item_rows(order))
                write_history(session, order.id, steps)
                outbox.add(session, ORDER_PLACED, aggregate_id=order.id, data=answers.placed(order))
                operations.finish(session, order.operation_id, answer=answers.show(order))
                standing, is_ours = order, True
            else:
                standing, is_ours = _standing(session, order), False
        if is_ours:
            trade.order("confirmed")
            trade.taken(order.owed.total.minor_units, order.owed.total.currency)
        return standing

    def reject(self, order: Order, refusal: Refusal, *, release_due: bool) -> Order:
        """Only whoever moves the row writes the refusal down as the operation's answer."""
        at = self._clock()
        values = {
            "status": Status.REJECTED,
            "updated_at": at,
            "version": order.version + 1,
            "release_due": release_due,
            "resume_at": at + LEASE,
        }
        with self._scope.writing() as session:
            if is_ours := self._leave_pending(session, order, values):
                operations.finish(session, order.operation_id, refusal=refusal)
            standing = _standing(session, order)
        if is_ours:
            trade.order(refusal.code.partition(".")[2])
        return standing

    def released(self, order_id: str) -> None:
        """It need not be released again."""
        with self._scope.writing() as session:
            session.execute(update(orders).where(orders.c.id == order_id).values(release_due=False))

    def withdraw(self, order: Order) -> bool:
        """As if it had never been asked for, so that the same operation may try again."""
        untouched = (orders.c.id == order.id, orders.c.status == Status.PENDING, orders.c.attempts == 0)
        with self._scope.writing() as session:
            if session.execute(delete(orders).where(*untouched).returning(orders.c.id)).first() is None:
                return False
            session.execute(delete(operations_table).where(operations_table.c.operation_id == order.operation_id))
        trade.order("withdrawn")
        return True

    def take_up(self) -> Order | None:
        """The one that has lain longest; the pause before it is taken up again doubles, up to eight leases."""
        is_lying = or_(orders.c.status == Status.PENDING, orders.c.release_due)
        lying = select(orders.c.id).where(is_lying, orders.c.resume_at <= self._clock())
        return self._take(lying.order_by(orders.c.resume_at).limit(1))

    def inherit(self) -> Order | None:
        """Without waiting for the lease: should the first run live after all, both may take every step."""
        if not self._call.redelivered:
            return None
        mine = (orders.c.operation_id == self._call.operation_id, orders.c.status == Status.PENDING)
        return self._take(select(orders.c.id).where(*mine))

    def _take(self, lying: Select[Any]) -> Order | None:
        pause: ColumnElement[Any] = LEASE * func.power(2, func.least(orders.c.attempts, MOST_DOUBLINGS))
        with self._scope.writing() as session:
            rows = session.execute(
                update(orders)
                .where(orders.c.id == lying.with_for_update(skip_locked=True).scalar_subquery())
                .values(attempts=orders.c.attempts + 1, resume_at=self._clock() + pause)
                .returning(orders)
            ).all()
            taken = with_items(session, rows)
        if not taken:
            return None
        trade.order("resumed")
        return _readable(taken[0])

    def _add(self, session: Session, order: Order, settled: Collection[str]) -> CartOrdered | None:
        """Write it, or give the refusal when what its cart held was, or may have been, ordered.

        Raises :class:`KeyReused` when an order of this operation outlived the operation's own record.
        """
        if order.terms.from_cart:
            session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"checkout/{order.user_id}", 0))))
            if set(session.execute(self._checkouts_of(order.user_id, orders.c.id)).scalars()) - set(settled):
                return CartOrdered()
        added = (
            upsert(orders)
            .values(
                id=order.id,
                number=order.number,
                user_id=order.user_id,
                operation_id=order.operation_id,
                status=order.status,
                payment_status=order.payment_status,
                fulfilment_status=order.fulfilment_status,
                lines=[
                    {"id": item.id, "product_id": item.product_id, "quantity": item.quantity} for item in order.items
                ],
                units=sum(item.quantity for item in order.items),
                terms=_written_terms(order.terms),
                cart_state=order.terms.cart_state,
                version=order.version,
                created_at=order.created_at,
                updated_at=order.updated_at,
                resume_at=self._clock() + LEASE,
            )
            .on_conflict_do_nothing()
        )
        if session.execute(added.returning(orders.c.id)).first() is not None:
            return None
        return _why_not(session, order)

    def _checkouts_of(self, user_id: str, *columns: Any) -> Select[Any]:
        """What is pending comes first, for that alone decides. Each part has an index that holds little else.

        What was taken up again may be confirmed long after its id was made: then that is when it was ordered.
        """
        since = self._clock() - LATELY
        standing = (orders.c.cart_state.is_not(None), orders.c.status != Status.REJECTED)
        mine = select(orders.c.id).where(orders.c.user_id == user_id, *standing)
        is_pending = orders.c.status == Status.PENDING
        order = (is_pending.desc(), orders.c.id.desc())
        lately = mine.where(orders.c.id >= first_id_at(since)).order_by(orders.c.id.desc()).limit(FEW)
        is_late = and_(orders.c.status == Status.CONFIRMED, orders.c.attempts > 0, orders.c.updated_at >= since)
        belated = mine.where(or_(is_pending, is_late)).order_by(*order).limit(FEW)
        either = union_all(lately.subquery().select(), belated.subquery().select())
        return select(*columns).where(orders.c.id.in_(either)).order_by(*order).limit(FEW)

    def _leave_pending(self, session: Session, order: Order, values: dict[str, Any]) -> bool:
        guarded = update(orders).where(orders.c.id == order.id, orders.c.status == Status.PENDING)
        return session.execute(guarded.values(**values).returning(orders.c.id)).first() is not None


def _written_terms(terms: Terms) -> dict[str, Any]:
    """All but what has a column: the version before that column refuses to read what it does not know."""
    written = asdict(terms)
    del written["cart_state"]
    return written


def _readable(taken: Rows) -> Order:
    """Its lease is committed by then, so that nobody trips over it again at once: others have their turn.

    Raises :class:`Internal` when it cannot be read, and says so in the log: it lies there until somebody mends it.
    """
    try:
        return taken.read()
    except Exception:  # whatever is wrong with one row is no fault of the others
        log.exception("order.unreadable", order_id=taken.order.id)
        raise Internal from None


def _why_not(session: Session, order: Order) -> CartOrdered:
    """What stood in the way of a new order. Raises :class:`KeyReused`; ``Unavailable`` when its number was taken."""
    same = select(orders.c.id).where(orders.c.operation_id == order.operation_id)
    if session.execute(same).first() is not None:
        raise KeyReused
    if session.execute(select(orders.c.id).where(orders.c.number == order.number)).first() is not None:
        raise Unavailable(retry_after=1)
    return CartOrdered()


def _standing(session: Session, order: Order) -> Order:
    """How the order stands, whoever brought it there."""
    (found,) = read_orders(session, session.execute(select(orders).where(orders.c.id == order.id)).all())
    return found


def _confirmed_values(order: Order) -> dict[str, Any]:
    owed = order.owed
    return {
        "status": order.status,
        "payment_status": order.payment_status,
        "updated_at": order.updated_at,
        "version": order.version,
        "currency": owed.total.currency,
        "subtotal": owed.subtotal.minor_units,
        "tax": owed.tax.minor_units,
        "shipping": owed.shipping.minor_units,
        "total": owed.total.minor_units,
    }


def _item_rows(order: Order) -> list[dict[str, Any]]:
    return [
        {
            "id": item.id,
            "order_id": order.id,
            "position": position,
            "product_id": item.product_id,
            "quantity": item.quantity,
            "unit_price": item.unit_price.minor_units,
            "product": to_builtins(item.frozen),
        }
        for position, item in enumerate(order.items)
    ]
