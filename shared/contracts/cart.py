"""Contract of the cart service. A cart belongs to a user or, by an unguessable token, to a guest."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from shared.contracts.catalog import Line, ProductId, Quantity
from shared.contracts.method import Answer, Methods, Nothing, Request
from shared.contracts.refusals import Refusal

METHODS = Methods("cart")

MAX_LINES = 200
MAX_QUANTITY = 99

CartToken = Annotated[
    str,
    Meta(
        min_length=20,
        max_length=128,
        pattern=r"^[A-Za-z0-9_-]+(?!\n)$",
        description="A cart token, just as the shop gave it out.",
    ),
]


class CartRequest(Request, frozen=True, kw_only=True):
    """Whose cart is meant: the user's, else the guest's; neither opens a new guest cart on a write."""

    user_id: str | None = None
    cart_token: CartToken | None = None


class CartItem(Answer, frozen=True, kw_only=True):
    """A line of a cart. ``unit_price`` is as seen when it was added, ``current_price`` as it is now."""

    product_id: int
    name: str
    image: str
    quantity: int
    unit_price: str
    current_price: str | None
    line_total: str
    available: bool


class Cart(Answer, frozen=True, kw_only=True):
    """A cart at one version. ``cart_token`` is set only in the answer that opened a guest cart.

    ``warnings`` is a list of ``{"product_id", "code", "detail"}``: what changed since an item was added.
    """

    id: str
    version: int
    items: list[CartItem]
    item_count: int
    subtotal: str
    currency: str
    expires_at: str | None
    warnings: list[dict[str, Any]]
    cart_token: str | None = None


class GetCart(CartRequest, frozen=True, kw_only=True):
    """Look into a cart; one that does not exist yet is empty at version 0."""


class AddItem(CartRequest, frozen=True, kw_only=True):
    """Add so many of a product to what is there. Commutes, so it needs no version."""

    product_id: ProductId
    quantity: Quantity


class SetItem(CartRequest, frozen=True, kw_only=True):
    """Set the quantity of a product, if the cart is still at ``expected_version`` (when given)."""

    product_id: ProductId
    quantity: Quantity
    expected_version: int | None = None


class RemoveItem(CartRequest, frozen=True, kw_only=True):
    """Take a product out, if the cart is still at ``expected_version`` (when given)."""

    product_id: ProductId
    expected_version: int | None = None


class ClearCart(CartRequest, frozen=True, kw_only=True):
    """Take everything out, if the cart is still at ``expected_version`` (when given)."""

    expected_version: int | None = None


class MergeCarts(Request, frozen=True, kw_only=True):
    """Bring a guest's cart into the user's: per product the larger quantity; the guest cart is closed."""

    user_id: str
    cart_token: CartToken


class SubtractItems(Request, frozen=True, kw_only=True):
    """After checkout: take out just what was ordered. Idempotent by order id."""

    user_id: str
    order_id: str
    items: list[Line]


class CartNotFound(Refusal):
    """No guest cart answers to this token."""

    code = "cart.not_found"
    sentence = "There is no such cart."


class CartClosed(Refusal):
    """The guest cart was merged into an account and takes no more changes."""

    code = "cart.closed"
    sentence = "This cart was merged into an account and is closed."


class LimitExceeded(Refusal):
    """99 per line, 200 lines. ``details``: limit, wanted, product_id."""

    code = "cart.limit_exceeded"
    sentence = "A cart holds at most 99 of a product and 200 different products."


class ItemNotFound(Refusal):
    """The product is not in the cart."""

    code = "cart.item_not_found"
    sentence = "This product is not in the cart."


class CartEmpty(Refusal):
    """There is nothing to order."""

    code = "cart.empty"
    sentence = "The cart is empty."


class CartOrdered(Refusal):
    """What the cart held at this version was ordered already, or is being ordered right now."""

    code = "cart.already_ordered"
    sentence = "What the cart holds was ordered already, or is being ordered right now. Look at your orders."


class PriceChanged(Refusal):
    """The total rose above ``expected_total``. ``details``: total, expected_total, currency."""

    code = "cart.price_changed"
    sentence = "The total is higher than you expected. Look at the new quote and confirm it."


GET_CART = METHODS.reads("get_cart", GetCart, Cart)
ADD_ITEM = METHODS.changes("add_item", AddItem, Cart)
SET_ITEM = METHODS.changes("set_item", SetItem, Cart)
REMOVE_ITEM = METHODS.changes("remove_item", RemoveItem, Cart)
CLEAR_CART = METHODS.changes("clear_cart", ClearCart, Cart)
MERGE_CARTS = METHODS.changes("merge_carts", MergeCarts, Cart)
SUBTRACT_ITEMS = METHODS.changes("subtract_items", SubtractItems, Nothing)
"""The one change that goes by something else than its operation id: by the order's. The event that the order was placed
takes its items out, too, and knows no operation; whichever comes first, it is one effect. There is one answer, too."""
