"""Events of the shop: facts in the past tense, published through an outbox, each with its version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """The envelope on the wire. ``sequence`` counts the events of one aggregate from 1.

    Consumers deduplicate by ``event_id`` and tolerate unknown members of ``data``.
    """

    event_id: str
    type: str
    version: int
    occurred_at: str
    aggregate_id: str
    sequence: int
    request_id: str
    data: dict[str, Any]


@dataclass(frozen=True)
class EventType:
    """A kind of event: published by ``service`` to Nameko's exchange ``<service>.events`` with key ``name``.

    One that ``must_be_heard`` waits in the outbox while nobody has bound it: in a shop that opens, customers may be
    quicker than the services that will write to them.
    """

    service: str
    name: str
    version: int
    data: type[msgspec.Struct]
    must_be_heard: bool = False


class OrderedLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of an order as other services need it."""

    product_id: int
    name: str
    quantity: int
    unit_price: str
    line_total: str


class OrderPlaced(msgspec.Struct, frozen=True, kw_only=True):
    """An order is confirmed: its stock is sold and its prices are frozen."""

    order_id: str
    number: str
    user_id: str
    lines: list[OrderedLine]
    total: str
    currency: str
    from_cart: bool


class OrderCancelled(msgspec.Struct, frozen=True, kw_only=True):
    """An order was cancelled before it shipped."""

    order_id: str
    number: str
    user_id: str
    total: str
    currency: str


class SessionRevoked(msgspec.Struct, frozen=True, kw_only=True):
    """A session ended: its access tokens count no more. ``forget_at`` is in seconds since the epoch."""

    session_id: str
    user_id: str
    forget_at: int


class ProductChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A product was created, changed or taken off sale."""

    product_id: int
    category_id: int
    version: int


ORDER_PLACED = EventType("order", "order.placed", 1, OrderPlaced, must_be_heard=True)
ORDER_CANCELLED = EventType("order", "order.cancelled", 1, OrderCancelled, must_be_heard=True)
SESSION_REVOKED = EventType("identity", "session.revoked", 1, SessionRevoked)
PRODUCT_CHANGED = EventType("catalog", "product.changed", 1, ProductChanged)

EVENT_TYPES = (ORDER_PLACED, ORDER_CANCELLED, SESSION_REVOKED, PRODUCT_CHANGED)
