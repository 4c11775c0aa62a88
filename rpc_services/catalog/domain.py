"""What is true of products and their stock: how it is held, sold, given back and counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from shared.contracts import catalog
from shared.contracts.catalog import BadRow, CategoryNode, ProductRow, ReservationLost, StockConflict
from shared.contracts.checking import read
from shared.contracts.goods import faults_in_price
from shared.contracts.refusals import InvalidRequest, StaleVersion
from shared.values.money import Money
from shared.values.times import to_rfc3339

HOLD_TIME = timedelta(minutes=15)

Demand = dict[int, int]
"""Units wanted per product id, in the order of the ids: the order in which stock is locked everywhere."""


class State(StrEnum):
    """Where the stock of an order stands. ``released`` is final; it is also what an unknown order is released to."""

    HELD = "held"
    SOLD = "sold"
    RELEASED = "released"
    EXPIRED = "expired"


class Reason(StrEnum):
    """Why ``on_hand`` changed."""

    COUNTED = "counted"
    SOLD = "sold"
    RETURNED = "returned"


@dataclass(frozen=True)
class Move:
    """What happens to stock per unit: factors for ``on_hand`` and ``reserved``, and the ledger's reason if any."""

    on_hand: int
    reserved: int
    reason: Reason | None = None


HOLD = Move(on_hand=0, reserved=1)
LET_GO = Move(on_hand=0, reserved=-1)
SELL_HELD = Move(on_hand=-1, reserved=-1, reason=Reason.SOLD)
SELL_FREE = Move(on_hand=-1, reserved=0, reason=Reason.SOLD)
TAKE_BACK = Move(on_hand=1, reserved=0, reason=Reason.RETURNED)


@dataclass(frozen=True)
class Category:
    """A place in the tree of the shop."""

    id: int
    parent_id: int | None
    name: str
    description: str


@dataclass(frozen=True)
class Stock:
    """What lies in the store, and how much of it is promised. ``0 <= reserved <= on_hand`` always."""

    on_hand: int
    reserved: int = 0

    @property
    def available(self) -> int:
        """What can be bought now."""
        return self.on_hand - self.reserved

    def counted(self, on_hand: int, *, expected: int) -> Stock:
        """Compare-and-set. Raises :class:`StockConflict` when stale, or when less than what is reserved."""
        if expected != self.on_hand or on_hand < self.reserved:
            raise StockConflict(on_hand=self.on_hand, reserved=self.reserved)
        return replace(self, on_hand=on_hand)

    def offering(self, available: int) -> Stock:
        """So much that ``available`` can be bought, whatever is reserved."""
        return replace(self, on_hand=available + self.reserved)


@dataclass(frozen=True)
class Product:
    """Something the shop sells, with its stock."""

    id: int
    sku: str
    name: str
    description: str
    price: Money
    image: str
    category: Category
    stock: Stock
    version: int
    created_at: datetime
    updated_at: datetime

    def expect(self, version: int | None, *, available: int | None = None) -> None:
        """Raises :class:`StaleVersion` when the caller saw another version or, if that is asked, another stock."""
        if version not in {None, self.version} or available not in {None, self.stock.available}:
            raise StaleVersion(version=self.version)

    def touched(self, at: datetime) -> Product:
        """The next version of it."""
        return replace(self, version=self.version + 1, updated_at=at)


@dataclass(frozen=True)
class Draft:
    """A product that has no id yet; without ``sku`` one is made from the id it gets."""

    sku: str | None
    name: str
    description: str
    price: Money
    image: str
    category: Category
    stock: Stock
    at: datetime


@dataclass(frozen=True)
class Hold:
    """How the stock of one order stands. An order released before it was seen has a hold without lines."""

    order_id: str
    state: State
    expires_at: datetime

    def refuse_if_released(self) -> None:
        """Raises :class:`ReservationLost`: what was given back is never taken again under the same order."""
        if self.state is State.RELEASED:
            raise ReservationLost(order_id=self.order_id)


def demand_of(lines: Iterable[tuple[int, int]]) -> Demand:
    """Sum the quantities per product, so that two lines of one product cannot each pass the same check."""
    demand: Demand = {}
    for product_id, quantity in sorted(lines):
        demand[product_id] = demand.get(product_id, 0) + quantity
    return demand


def shortages_of(demand: Demand, stocks: Mapping[int, Stock]) -> list[dict[str, int]]:
    """Every line that cannot be served, with what there is."""
    return [
        {"product_id": product_id, "wanted": wanted, "available": stocks[product_id].available}
        for product_id, wanted in demand.items()
        if stocks[product_id].available < wanted
    ]


def price_of(amount: str, currency: str) -> Money:
    """Read a price. Raises :class:`InvalidRequest` naming every field that is wrong."""
    if faults := faults_in_price({"price": amount, "currency": currency}):
        raise InvalidRequest(errors=faults)
    return Money.parse(amount, currency)


def order_id_of(text: str) -> str:
    """An order id in its one spelling. Raises :class:`InvalidRequest`."""
    try:
        return str(UUID(text))
    except ValueError:
        raise invalid("/order_id", "A UUID is expected here.") from None


def invalid(pointer: str, detail: str) -> InvalidRequest:
    """The refusal of one bad field."""
    return InvalidRequest(errors=[{"pointer": pointer, "detail": detail}])


def tree_of(categories: Sequence[Category]) -> list[CategoryNode]:
    """The categories as a tree; each level keeps their order."""
    below: dict[int | None, list[Category]] = {}
    for category in categories:
        below.setdefault(category.parent_id, []).append(category)

    def nodes(parent_id: int | None) -> list[CategoryNode]:
        return [
            CategoryNode(id=each.id, name=each.name, description=each.description, children=nodes(each.id))
            for each in below.get(parent_id, [])
        ]

    return nodes(None)


def answer_of(product: Product) -> catalog.Product:
    """The product as the contract knows it."""
    category = product.category
    return catalog.Product(
        id=product.id,
        name=product.name,
        description=product.description,
        price=str(product.price),
        currency=product.price.currency,
        stock=product.stock.available,
        image=product.image,
        category=catalog.Category(id=category.id, name=category.name, description=category.description),
        sku=product.sku,
        version=product.version,
        created_at=to_rfc3339(product.created_at),
        updated_at=to_rfc3339(product.updated_at),
    )


@dataclass(frozen=True)
class CheckedRow:
    """A row of a bulk load that can be accepted."""

    row: ProductRow
    price: Money


def checked_rows(rows: Sequence[Mapping[str, Any]]) -> tuple[list[CheckedRow], list[BadRow]]:
    """Sort the rows into those that can be accepted and those that cannot; of one sku only the first is accepted."""
    good: dict[str, CheckedRow] = {}
    bad: list[BadRow] = []
    for index, data in enumerate(rows):
        try:
            row = read(ProductRow, data)
            if row.sku in good:
                raise invalid("/sku", "An earlier row has the same sku.")
            good[row.sku] = CheckedRow(row, price_of(row.price, row.currency))
        except InvalidRequest as refusal:
            reason = " ".join(f"{fault['pointer']}: {fault['detail']}" for fault in refusal.details["errors"])
            bad.append(BadRow(index=index, sku=str(data.get("sku", ""))[:64], reason=reason[:500]))
    return list(good.values()), bad
