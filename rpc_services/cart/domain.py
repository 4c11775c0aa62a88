"""What is true of carts: whose they are, what is in them, and what can be done to them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from shared.contracts.cart import CartClosed, CartNotFound, ItemNotFound, LimitExceeded
from shared.contracts.refusals import KeyReused, Refusal, StaleVersion

GUEST_LIFETIME = timedelta(days=30)
USER_LIFETIME = timedelta(days=90)


@dataclass(frozen=True)
class Owner:
    """Who answers for a cart. ``key`` names the cart everywhere; a guest's token itself is never kept."""

    key: str
    lifetime: timedelta

    @classmethod
    def user(cls, user_id: str) -> Owner:
        """Somebody with an account."""
        return cls(f"user:{user_id}", USER_LIFETIME)

    @classmethod
    def guest(cls, token: str) -> Owner:
        """Whoever knows the token."""
        return cls(f"guest:{sha256(token.encode()).hexdigest()}", GUEST_LIFETIME)

    @property
    def is_guest(self) -> bool:
        """Whether a token stands for the owner."""
        return self.key.startswith("guest:")


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A product as it was when it was put into the cart. ``unit_price`` is a decimal string in ``currency``."""

    name: str
    image: str
    unit_price: str
    currency: str


@dataclass(frozen=True, kw_only=True)
class CartLine:
    """So many of a product. A change that only names products carries no snapshot."""

    product_id: int
    quantity: int = 0
    snapshot: Snapshot | None = None


@dataclass(frozen=True, kw_only=True)
class CartState:
    """A cart at one version, its lines in the order in which they were first added."""

    id: str
    version: int
    lines: tuple[CartLine, ...]
    expires_at: datetime
    closed_by: str = ""

    @property
    def product_ids(self) -> list[int]:
        """What is in it."""
        return [line.product_id for line in self.lines]


class KeysUsedUp(Refusal):
    """No more can be remembered of this cart for now, so what carries a new key is not done.

    ``details['retry_after']`` is in seconds: then the oldest of what is remembered has been so for a day. The code is
    that of asking too often.
    """

    code = "quota.exceeded"
    sentence = (
        "So much was asked of this cart with Idempotency-Keys that no more can be remembered. Nothing was changed."
    )


class Verb(StrEnum):
    """What can be done to a cart."""

    ADD = "add"
    SET = "set"
    REMOVE = "remove"
    CLEAR = "clear"
    SUBTRACT = "subtract"
    MERGE = "merge"
    CLOSE = "close"


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One intended effect: the cart remembers it, so that a repetition changes nothing.

    What ``settles`` something with another cart or an order is remembered apart, where no crowd of small
    changes can push it out. What carries a ``fingerprint`` came with a client's key, and is remembered for a day.
    """

    id: str
    fingerprint: str = ""
    settles: bool = False

    @property
    def is_keyed(self) -> bool:
        """Whether a client may repeat it."""
        return self.fingerprint != "" and not self.settles


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change as it is wanted. ``opens`` says that the cart is made if there is none."""

    verb: Verb
    lines: tuple[CartLine, ...] = ()
    operation: Operation | None = None
    expected_version: int | None = None
    opens: bool = False
    closed_by: str = ""


@dataclass(frozen=True, kw_only=True)
class Changed:
    """What became of a change: the whole new state, and which products found no room in a merge."""

    state: CartState
    refused: tuple[int, ...] = ()


class Outcome(StrEnum):
    """How a store answers a change."""

    DONE = "done"
    REPLAYED = "replayed"
    NO_CART = "no_cart"
    CLOSED = "closed"
    STALE = "stale"
    NO_ITEM = "no_item"
    LIMIT = "limit"
    KEY_REUSED = "key_reused"
    ASKED_TOO_EARLY = "asked_too_early"
    """Nothing was done: since the journal was asked more has been changed than the cart can tell."""


def refusal_for(outcome: Outcome, details: list[int]) -> Refusal:
    """The refusal that an outcome means.

    ``details``: the version for ``STALE``; product id, wanted figure and limit for ``LIMIT``; product id for
    ``NO_ITEM``.
    """
    match outcome:
        case Outcome.CLOSED:
            return CartClosed()
        case Outcome.STALE:
            return StaleVersion(version=details[0])
        case Outcome.NO_ITEM:
            return ItemNotFound(product_id=details[0])
        case Outcome.LIMIT:
            product_id, wanted, limit = details
            return LimitExceeded(product_id=product_id, wanted=wanted, limit=limit)
        case Outcome.KEY_REUSED:
            return KeyReused()
        case _:
            return CartNotFound()


def add(line: CartLine, operation: Operation | None, *, opens: bool) -> Change:
    """Put more of a product in."""
    return Change(verb=Verb.ADD, lines=(line,), operation=operation, opens=opens)


def merge(guest: CartState) -> Change:
    """Bring what a closed guest cart holds into a user's, once for each guest cart."""
    operation = Operation(id=f"merge/{guest.id}", settles=True)
    return Change(verb=Verb.MERGE, lines=guest.lines, operation=operation, opens=True)


def close(user_id: str) -> Change:
    """Close a guest cart in favour of a user. The same user may close it again."""
    return Change(verb=Verb.CLOSE, closed_by=user_id)


def subtract(order_id: str, lines: tuple[CartLine, ...]) -> Change:
    """Take out what was ordered, once for each order."""
    operation = Operation(id=f"order/{order_id}", settles=True)
    return Change(verb=Verb.SUBTRACT, lines=lines, operation=operation, opens=True)
