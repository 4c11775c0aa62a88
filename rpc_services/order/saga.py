"""Drives an order through stock and payment to its end, so that any step may be repeated by anybody at any time.

The order's row decides: whoever moves it out of ``pending`` first has the last word, and stock and payment follow it.
All steps carry the order's id and are idempotent by it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import structlog

from rpc_services.order.domain import NOT_NOW, Order, PaymentStatus, Status, Transition
from shared.contracts.catalog import ReservedLine
from shared.contracts.refusals import DeadlinePassed, OutcomeUnknown, Refusal, StillRunning, Unavailable
from shared.values.money import Money
from shared.values.times import Clock

log = structlog.get_logger()

LATELY = timedelta(hours=1)
"""So far back a cart is asked to have let go of what was ordered from it. Older orders it let go of long ago, by their
event if not at once; where even that lay parked, the buyer has seen the goods in the cart, and orders them again."""

NOT_EXECUTED = (Unavailable, DeadlinePassed)


class Desk(Protocol):
    """Where orders are written down. Every method is a transaction of its own.

    All raise :class:`Unavailable` or :class:`DeadlinePassed` when nothing was written, :class:`OutcomeUnknown` when
    nobody knows.
    """

    def first_answer(self) -> Any | None:
        """How this operation ended the first time: its answer, or its refusal raised; ``None`` if nobody began it.

        Raises :class:`StillRunning` when the first run takes longer than a second, :class:`KeyReused`.
        """

    def checkouts(self, user_id: str) -> list[Order]:
        """The last of what this buyer ordered from the cart within :data:`LATELY` and is not rejected.

        What was confirmed late was ordered then. May raise ``CartOrdered`` while any is pending, however old it is, for
        it may be confirmed yet.
        """

    def open(self, order: Order, *, settled: Collection[str] = ()) -> Any | None:
        """Begin the operation and write the pending order; or give the first answer, as :meth:`first_answer` does.

        An order from a cart is refused with ``CartOrdered`` if its cart's state has one, or if there is any of
        :meth:`checkouts` that is not in ``settled``: the cart may still have held those goods when it was looked at.
        """

    def confirm(self, order: Order, steps: list[Transition]) -> Order:
        """Write it as confirmed with its event and its operation's answer, if it is still pending.

        Gives the order as it now stands.
        """

    def reject(self, order: Order, refusal: Refusal, *, release_due: bool) -> Order:
        """Write it as rejected with its operation's refusal, if it is still pending. Gives it as it now stands."""

    def released(self, order_id: str) -> None:
        """Note that a rejected or cancelled order holds nothing any more."""

    def withdraw(self, order: Order) -> bool:
        """Forget order and operation, if nobody else has taken it up. Whether that was so."""

    def take_up(self) -> Order | None:
        """An order that its first run has left lying, taken for a while so that nobody else takes it up too."""

    def inherit(self) -> Order | None:
        """The pending order of this very call, taken likewise, when the broker brings the call a second time."""


class Stock(Protocol):
    """The catalogue's stock. All methods raise its refusals, and those of ``NOT_NOW``."""

    def reserve(self, order: Order) -> list[ReservedLine]:
        """Hold all items or none; the products come with the prices to freeze."""

    def confirm(self, order: Order) -> None:
        """Sell what is held. Raises ``ReservationLost``."""

    def release(self, order: Order) -> None:
        """Give back whatever it has."""


class Payments(Protocol):
    """The payment provider. Idempotent by order id."""

    def check(self, token: str | None) -> None:
        """Raises :class:`InvalidRequest` when the token can never be used."""

    def authorize(self, order_id: str, amount: Money, token: str | None) -> PaymentStatus:
        """Raises ``PaymentDeclined``, and those of ``NOT_NOW``."""

    def void(self, order_id: str) -> None:
        """Let the money go."""


@dataclass(frozen=True, kw_only=True)
class Saga:
    """The steps of an order and who does them."""

    desk: Desk
    stock: Stock
    payments: Payments
    clock: Clock
    show: Callable[[Order], Any]

    def begin(self, order: Order, *, settled: Collection[str] = ()) -> Any:
        """Open the order (see :meth:`Desk.open`) and drive it to its end.

        Gives the answer, or the first answer of a repeated operation.

        Raises the refusal it ended with; :class:`Unavailable` or :class:`DeadlinePassed` when nothing was begun;
        :class:`OutcomeUnknown` when it lies pending: the sweeper finishes it, and repeating gives its answer.
        """
        try:
            earlier = self.desk.open(order, settled=settled)
        except StillRunning as busy:
            return self._inherit(busy)
        if earlier is not None:
            return earlier
        try:
            lines = self.stock.reserve(order)
        except NOT_EXECUTED:
            self._withdraw(order)
            raise
        except NOT_NOW as fault:
            raise OutcomeUnknown(order_id=order.id) from fault
        except Refusal as refusal:
            with _lying_pending(order):
                return self.show(self._reject(order, refusal, is_holding=False))
        with _lying_pending(order):
            return self.show(self._finish(order, lines))

    def earlier(self) -> Any | None:
        """The first answer of a repeated operation; ``None`` if nobody began it. Raises what :meth:`begin` raises."""
        try:
            return self.desk.first_answer()
        except StillRunning as busy:
            return self._inherit(busy)

    def resume_one(self) -> bool:
        """Carry one order on that a crash or an outage left half-way. Whether there was one.

        Raises what :meth:`begin` raises; a refusal is then the order's end.
        """
        order = self.desk.take_up()
        if order is None:
            return False
        if order.status is Status.REJECTED:
            self._compensate(order)
            return True
        if order.status is Status.CANCELLED:
            self._let_money_go(order.id)
            return True
        log.info("order.resumed", order_id=order.id)
        self._carry_on(order)
        return True

    def after_cancelling(self, order_id: str) -> None:
        """Let the money of a cancelled order go. What fails is put off: the sweeper does it again until it is done.

        Only once the cancellation is committed, for a payment that is void is so for good. The stock follows the event.
        Whatever goes wrong here, the cancellation is done, and its caller is told so.
        """
        try:
            self._let_money_go(order_id)
        except Refusal as fault:
            log.warning("order.void_put_off", order_id=order_id, code=fault.code)
        except Exception:  # a provider's own fault, or the database's
            log.exception("order.void_failed", order_id=order_id)

    def _inherit(self, busy: StillRunning) -> Any:
        """Whoever had the call before has died or lost the broker; no need to wait for the sweeper."""
        order = self.desk.inherit()
        if order is None:
            raise busy
        log.info("order.inherited", order_id=order.id)
        with _lying_pending(order):
            return self.show(self._carry_on(order))

    def _carry_on(self, order: Order) -> Order:
        try:
            lines = self.stock.reserve(order)
        except NOT_NOW:
            raise
        except Refusal as refusal:
            return self._reject(order, refusal, is_holding=True)
        return self._finish(order, lines)

    def _finish(self, order: Order, lines: list[ReservedLine]) -> Order:
        try:
            priced = order.priced(lines)
            payment = self.payments.authorize(order.id, priced.owed.total, order.terms.payment_token)
            self.stock.confirm(order)
        except NOT_NOW:
            raise
        except Refusal as refusal:
            return self._reject(order, refusal, is_holding=True)
        confirmed, steps = priced.confirmed(payment, self.clock())
        standing = self.desk.confirm(confirmed, steps)
        if standing.status is Status.REJECTED:
            self._compensate(standing)
            raise OutcomeUnknown(order_id=order.id)
        return standing

    def _reject(self, order: Order, refusal: Refusal, *, is_holding: bool) -> Order:
        """First the row, then the stock: so nobody can confirm an order whose stock is being given back."""
        standing = self.desk.reject(order, refusal, release_due=is_holding)
        if standing.status is not Status.REJECTED:
            return standing
        if is_holding:
            try:
                self._compensate(order)
            except NOT_NOW as fault:
                log.warning("order.release_put_off", order_id=order.id, code=fault.code)
        log.info("order.rejected", order_id=order.id, code=refusal.code)
        raise refusal

    def _compensate(self, order: Order) -> None:
        self.payments.void(order.id)
        self.stock.release(order)
        self.desk.released(order.id)

    def _let_money_go(self, order_id: str) -> None:
        self.payments.void(order_id)
        self.desk.released(order_id)

    def _withdraw(self, order: Order) -> None:
        with _lying_pending(order):
            withdrawn = self.desk.withdraw(order)
        if not withdrawn:
            raise OutcomeUnknown(order_id=order.id)


@contextmanager
def _lying_pending(order: Order) -> Iterator[None]:
    """Once the order is written, "nothing was changed" would be a lie: the sweeper will finish it."""
    try:
        yield
    except NOT_NOW as fault:
        raise OutcomeUnknown(order_id=order.id) from fault
