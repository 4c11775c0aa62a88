"""What is true of products and their stock: how it is held, sold and given back, and where a page of a list goes on."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal
from uuid import UUID

import msgspec

from shared.contracts.catalog import ReservationLost, Sort, StockConflict
from shared.contracts.refusals import InvalidRequest, StaleVersion
from shared.values.money import EXPONENTS, Money, NotMoney

HOLD_TIME = timedelta(minutes=15)
LARGEST_ID = 2**63 - 1

NAME_KEY_LENGTH = 100
"""So much of a name orders a list: a cursor must stay short whatever script the name is written in."""

Match = Literal["any", "words", "likeness"]
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

    def expect(self, version: int | None) -> None:
        """Raises :class:`StaleVersion` when the caller saw another version."""
        if version is not None and version != self.version:
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


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What a list is narrowed to. Prices are minor units of ``currency``."""

    category_id: int | None = None
    words: str | None = None
    currency: str = "EUR"
    min_price: int | None = None
    max_price: int | None = None
    in_stock: bool | None = None


class Position(msgspec.Struct, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True):
    """The last product of a page: where the next page begins. ``key`` is what its sort compares before the id."""

    sort: str
    match: Match
    key: str | int | float | None
    id: int


_KEY_TYPES: Mapping[str, type] = {"id": type(None), "newest": type(None), "name": str, "price": int, "-price": int}


def order_of(sort: Sort | None, words: str | None) -> str:
    """The order of a list. Relevance needs words; without sort and words products come in the order of their ids."""
    if sort == "relevance" or sort is None:
        return "relevance" if words else "id"
    return sort


def seal(position: Position) -> str:
    """The position as URL-safe text; the edge signs it."""
    return urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def unseal(cursor: str, order: str) -> Position:
    """The inverse of :func:`seal`. Raises :class:`InvalidRequest` for anything that ``order`` cannot go on from."""
    try:
        position = msgspec.json.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=Position)
    except (msgspec.MsgspecError, binascii.Error, ValueError):
        raise _bad_cursor() from None
    key = position.key
    fits = isinstance(key, _KEY_TYPES.get(order, (int, float)))
    in_range = "\0" not in key if isinstance(key, str) else abs(key or 0) <= LARGEST_ID
    if position.sort != order or not fits or not in_range or not 0 <= position.id <= LARGEST_ID:
        raise _bad_cursor()
    return position


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


def price_of(amount: str, currency: str, *, pointer: str = "/price") -> Money:
    """Read a price. Raises :class:`InvalidRequest` naming the field that is wrong."""
    if currency not in EXPONENTS:
        raise invalid("/currency", f"The shop does not take {currency}.")
    try:
        return Money.parse(amount, currency)
    except NotMoney as fault:
        raise invalid(pointer, str(fault)) from None


def order_id_of(text: str) -> str:
    """An order id in its one spelling. Raises :class:`InvalidRequest`."""
    try:
        return str(UUID(text))
    except ValueError:
        raise invalid("/order_id", "A UUID is expected here.") from None


def invalid(pointer: str, detail: str) -> InvalidRequest:
    """The refusal of one bad field."""
    return InvalidRequest(errors=[{"pointer": pointer, "detail": detail}])


def _bad_cursor() -> InvalidRequest:
    return invalid("/cursor", "This cursor does not belong to this list.")
