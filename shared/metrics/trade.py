"""Counts what the shop is there for: orders and their money, changes of carts, stock held and stock that was short."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client import Gauge

from shared.metrics import families
from shared.metrics.counting import registry
from shared.metrics.families import Family
from shared.metrics.instruments import Counter


def _counter(family: Family) -> Counter:
    return Counter(family, registry)


class _Measured:
    """A gauge without labels that has no series before it is measured: 0 would be a claim."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._gauge: Gauge | None = None

    def set(self, value: float) -> None:
        """As it is now."""
        if self._gauge is None:
            self._gauge = Gauge(self._family.name, self._family.meaning, registry=registry)
        self._gauge.set(value)


_orders = _counter(families.ORDERS)
_revenue = _counter(families.REVENUE)
_cart_changes = _counter(families.CART_CHANGES)
_holds = _counter(families.STOCK_HOLDS)

OUT_OF_STOCK: Final = "out_of_stock"
PAYMENT_DECLINED: Final = "payment_declined"
REFUSED: Final = "refused"
ORDER_OUTCOMES: Final = (
    "opened",
    "confirmed",
    "cancelled",
    "withdrawn",
    "resumed",
    OUT_OF_STOCK,
    PAYMENT_DECLINED,
    REFUSED,
)
HOLD_OUTCOMES: Final = ("reserved", "short", "sold", "released", "expired", "lost")

carts_open: Final = _Measured(families.CARTS_OPEN)
stock_reserved: Final = _Measured(families.STOCK_RESERVED)
stock_gone: Final = _Measured(families.STOCK_SOLD_OUT)


def tell_orders() -> None:
    """Let every outcome be seen at 0: an alarm must see the step to 1. For the service that has the orders."""
    for outcome in ORDER_OUTCOMES:
        _orders.labels(outcome)


def order(outcome: str) -> None:
    """One order came to this; a refusal's code counts as :data:`REFUSED` unless it has an outcome of its own."""
    _orders.labels(outcome if outcome in ORDER_OUTCOMES else REFUSED).inc()


def taken(minor_units: int, currency: str) -> None:
    """An order was confirmed for so much."""
    _revenue.labels(currency, "taken").inc(minor_units)


def given_back(minor_units: int, currency: str) -> None:
    """A confirmed order was cancelled."""
    _revenue.labels(currency, "given_back").inc(minor_units)


def tell_carts(changes: Iterable[str]) -> None:
    """Let every kind of change be seen at 0. For the service that has the carts."""
    for change in changes:
        _cart_changes.labels(change)


def cart_changed(change: str) -> None:
    """One change took place, by its verb."""
    _cart_changes.labels(change).inc()


def tell_holds() -> None:
    """Let every outcome be seen at 0. For the service that has the stock."""
    for outcome in HOLD_OUTCOMES:
        _holds.labels(outcome)


def held(outcome: str, number: int = 1) -> None:
    """So many holds came to this."""
    _holds.labels(outcome).inc(number)
