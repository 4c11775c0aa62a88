"""What is true of orders: their items, their price, and how they may move on their three axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from shared.contracts.cart import PriceChanged
from shared.contracts.catalog import Line, Product, ReservedLine
from shared.contracts.order import InvalidTransition, MixedCurrencies
from shared.contracts.refusals import (
    DeadlinePassed,
    Internal,
    InvalidRequest,
    OutcomeUnknown,
    StillRunning,
    Unavailable,
)
from shared.values.identifiers import NewId
from shared.values.money import Money, NotMoney

MAX_QUANTITY = 99
NOT_NOW = (Unavailable, DeadlinePassed, StillRunning, OutcomeUnknown, Internal)
"""Refusals that decide nothing about an order: it is tried again later."""


class Status(StrEnum):
    """The order itself. Pending and rejected ones were never acknowledged and are never shown."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"


SHOWN = (Status.CONFIRMED, Status.CANCELLED)


class PaymentStatus(StrEnum):
    """The money."""

    PENDING = "pending"
    AUTHORIZED = "authorized"
    VOIDED = "voided"


class FulfilmentStatus(StrEnum):
    """The goods."""

    UNFULFILLED = "unfulfilled"
    DELIVERED = "delivered"


class Axis(StrEnum):
    """What a transition is about."""

    ORDER = "order"
    PAYMENT = "payment"


@dataclass(frozen=True, kw_only=True)
class Transition:
    """One step on one axis: who, when and why."""

    at: datetime
    axis: Axis
    before: str
    after: str
    actor: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Item:
    """So many of a product; ``product`` is how it was when its price was frozen."""

    id: str
    product_id: int
    quantity: int
    product: Product | None = None

    @property
    def unit_price(self) -> Money:
        """The frozen price."""
        return Money.parse(self.frozen.price, self.frozen.currency)

    @property
    def frozen(self) -> Product:
        """The product as it was frozen. Only a priced order has it."""
        if self.product is None:
            raise ValueError("This item has no price yet.")
        return self.product


@dataclass(frozen=True, kw_only=True)
class Totals:
    """What is to be paid. Tax and shipping are nothing by the shop's present policy: prices include both."""

    subtotal: Money
    tax: Money
    shipping: Money

    @classmethod
    def of(cls, items: Sequence[Item]) -> Totals:
        """Raises :class:`MixedCurrencies`."""
        amounts = [item.unit_price.times(item.quantity) for item in items]
        currencies = sorted({amount.currency for amount in amounts})
        if len(currencies) != 1:
            raise MixedCurrencies(currencies=currencies)
        nothing = Money.zero(currencies[0])
        return cls(subtotal=sum(amounts, nothing), tax=nothing, shipping=nothing)

    @property
    def total(self) -> Money:
        """All of it."""
        return self.subtotal + self.tax + self.shipping


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What the buyer said beside the items. ``shipping_address`` is plain JSON.

    ``cart_state`` names the cart and the version of it that is ordered: each can be ordered once.
    """

    shipping_address: dict[str, str] | None = None
    payment_token: str | None = None
    expected_total: str | None = None
    from_cart: bool = False
    cart_state: str | None = None


@dataclass(frozen=True, kw_only=True)
class Order:
    """An order. ``totals`` is known once its prices are frozen; ``operation_id`` is the one that opened it.

    While ``release_due``, somebody has to let go of its money, and of its stock if it was rejected.
    """

    id: str
    number: str
    user_id: str
    operation_id: str
    items: tuple[Item, ...]
    terms: Terms
    created_at: datetime
    updated_at: datetime
    status: Status = Status.PENDING
    payment_status: PaymentStatus = PaymentStatus.PENDING
    fulfilment_status: FulfilmentStatus = FulfilmentStatus.UNFULFILLED
    totals: Totals | None = None
    version: int = 1
    release_due: bool = False

    @property
    def owed(self) -> Totals:
        """The totals. Only a priced order has them."""
        if self.totals is None:
            raise ValueError("This order has no price yet.")
        return self.totals

    def priced(self, lines: Sequence[ReservedLine]) -> Order:
        """With prices frozen as reserved.

        Raises :class:`MixedCurrencies`, :class:`PriceChanged` when it costs more than the buyer expected,
        :class:`InvalidRequest` when what they expected is no amount of that currency.
        """
        products = {line.product.id: line.product for line in lines}
        items = tuple(replace(item, product=products[item.product_id]) for item in self.items)
        totals = Totals.of(items)
        _check_expected(self.terms.expected_total, totals.total)
        return replace(self, items=items, totals=totals)

    def confirmed(self, payment: PaymentStatus, at: datetime) -> tuple[Order, list[Transition]]:
        """Sold. The buyer is the actor; whoever resumes an order only finishes what they began."""
        order = replace(self, status=Status.CONFIRMED, payment_status=payment, updated_at=at, version=self.version + 1)
        return order, _steps(self, order, actor=self.user_id, reason="placed")

    def cancelled(self, at: datetime, *, actor: str) -> tuple[Order, list[Transition]]:
        """Its money is then to be let go. Raises :class:`InvalidTransition` unless confirmed, with nothing shipped."""
        if self.status is not Status.CONFIRMED or self.fulfilment_status is not FulfilmentStatus.UNFULFILLED:
            raise InvalidTransition(status=self.status, fulfilment_status=self.fulfilment_status)
        payment = self.payment_status
        if payment is PaymentStatus.AUTHORIZED:
            payment = PaymentStatus.VOIDED
        order = replace(
            self,
            status=Status.CANCELLED,
            payment_status=payment,
            updated_at=at,
            version=self.version + 1,
            release_due=True,
        )
        return order, _steps(self, order, actor=actor, reason="cancelled by the buyer")


def items_of(lines: Sequence[Line], new_id: NewId) -> tuple[Item, ...]:
    """One item per product, in the order of first mention. Raises :class:`InvalidRequest` past 99 of a product."""
    wanted: dict[int, int] = {}
    errors = []
    for index, line in enumerate(lines):
        wanted[line.product_id] = wanted.get(line.product_id, 0) + line.quantity
        if wanted[line.product_id] > MAX_QUANTITY:
            detail = f"An order holds at most {MAX_QUANTITY} of a product, over all its lines."
            errors.append({"pointer": f"/items/{index}/quantity", "detail": detail})
    if errors:
        raise InvalidRequest(errors=errors)
    return tuple(Item(id=new_id(), product_id=product_id, quantity=number) for product_id, number in wanted.items())


def _check_expected(expected_total: str | None, total: Money) -> None:
    """A lower total is welcome; a higher one needs the buyer's consent."""
    if expected_total is None:
        return
    try:
        expected = Money.parse(expected_total, total.currency)
    except NotMoney as fault:
        raise InvalidRequest(errors=[{"pointer": "/expected_total", "detail": str(fault)}]) from None
    if total.minor_units > expected.minor_units:
        raise PriceChanged(total=str(total), expected_total=str(expected), currency=total.currency)


def _steps(before: Order, after: Order, *, actor: str, reason: str) -> list[Transition]:
    moves = [
        (Axis.ORDER, before.status.value, after.status.value),
        (Axis.PAYMENT, before.payment_status.value, after.payment_status.value),
    ]
    return [
        Transition(at=after.updated_at, axis=axis, before=was, after=became, actor=actor, reason=reason)
        for axis, was, became in moves
        if was != became
    ]
