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


class UserSessionsRevoked(msgspec.Struct, frozen=True, kw_only=True):
    """All sessions of a user (or grants of a client) ended but one: tokens issued earlier count no more.

    Refuse every access token whose ``sub`` is ``user_id``, whose ``iat`` lies before ``issued_before`` and whose
    ``sid`` is not ``kept_session_id`` (empty: none is kept). Of several such events for one user the one with the
    greatest ``issued_before`` holds alone, in whatever order they come: it is strictly greater each time, and identity
    gives whatever is issued afterwards an ``iat`` that is not before it. Times are in seconds since the epoch.
    """

    user_id: str
    issued_before: int
    kept_session_id: str
    forget_at: int


class SigningKeysTurned(msgspec.Struct, frozen=True, kw_only=True):
    """The key set changed: read it again. ``key_ids`` are all that may verify from now on."""

    key_ids: list[str]


class ProductChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A product was created, changed or taken off sale."""

    product_id: int
    category_id: int
    version: int


class CachePurged(msgspec.Struct, frozen=True, kw_only=True):
    """Answers that carry one of these tags are not to be given any more (``all``: every answer)."""

    tags: list[str]


ORDER_PLACED = EventType("order", "order.placed", 1, OrderPlaced, must_be_heard=True)
ORDER_CANCELLED = EventType("order", "order.cancelled", 1, OrderCancelled, must_be_heard=True)
SESSION_REVOKED = EventType("identity", "session.revoked", 1, SessionRevoked)
USER_SESSIONS_REVOKED = EventType("identity", "user.sessions_revoked", 1, UserSessionsRevoked)
SIGNING_KEYS_TURNED = EventType("identity", "signing_keys.turned", 1, SigningKeysTurned)
PRODUCT_CHANGED = EventType("catalog", "product.changed", 1, ProductChanged)
CACHE_PURGED = EventType("edge", "cache.purged", 1, CachePurged)

EVENT_TYPES = (
    ORDER_PLACED,
    ORDER_CANCELLED,
    SESSION_REVOKED,
    USER_SESSIONS_REVOKED,
    SIGNING_KEYS_TURNED,
    PRODUCT_CHANGED,
    CACHE_PURGED,
)
