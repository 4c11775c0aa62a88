"""Contract of the order service: placing, reading and cancelling orders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from shared.contracts.catalog import MOST_AT_ONCE, Line, Product
from shared.contracts.checking import fits
from shared.contracts.goods import Amount, Amounts
from shared.contracts.method import Answer, Methods, Request
from shared.contracts.refusals import Refusal

METHODS = Methods("order")

MOST_LINES = 200

OrderId = Annotated[str, Meta(max_length=64)]
Text = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00]*(?!\n)$", description="Text without the character NUL.")]
PaymentToken = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        pattern=r"^[A-Za-z0-9_-]+(?!\n)$",
        description="Letters, digits, underscores and hyphens.",
    ),
]
CountryCode = Annotated[str, Meta(pattern=r"^[A-Z]{2}(?!\n)$", description="Two capital letters (ISO 3166-1).")]


class Address(Request, frozen=True, kw_only=True):
    """Where the goods go; a copy is kept with the order."""

    name: Text
    line1: Text
    city: Text
    postal_code: Text
    country: CountryCode
    line2: Text = ""
    region: Text = ""


class PlaceOrder(Amounts, frozen=True, kw_only=True):
    """Order these items. All of them are had or none."""

    amounts: ClassVar[tuple[str, ...]] = ("expected_total",)

    user_id: str
    items: Annotated[list[Line], Meta(min_length=1, max_length=MOST_LINES)]
    shipping_address: Address | None = None
    payment_token: PaymentToken | None = None
    expected_total: Amount | None = None

    @classmethod
    def beyond_its_fields(cls, given: Mapping[str, Any]) -> list[dict[str, str]]:
        """Too much of a product over all lines, too."""
        return [*_too_much(given.get("items")), *super().beyond_its_fields(given)]


class Checkout(Amounts, frozen=True, kw_only=True):
    """Order what the user's cart holds, at ``expected_version`` when given, and take just that out of it."""

    amounts: ClassVar[tuple[str, ...]] = ("expected_total",)

    user_id: str
    expected_version: int | None = None
    shipping_address: Address | None = None
    payment_token: PaymentToken | None = None
    expected_total: Amount | None = None


def _too_much(items: Any) -> list[dict[str, str]]:
    """Each line by which its product has become too much, as far as the lines are any. Too many are told as such."""
    if not isinstance(items, list) or len(items) > MOST_LINES:
        return []
    wanted: dict[int, int] = {}
    faults = []
    for index, line in enumerate(items):
        if fits(line, Line):
            wanted[line["product_id"]] = wanted.get(line["product_id"], 0) + line["quantity"]
            if wanted[line["product_id"]] > MOST_AT_ONCE:
                detail = f"An order holds at most {MOST_AT_ONCE} of a product, over all its lines."
                faults.append({"pointer": f"/items/{index}/quantity", "detail": detail})
    return faults


class OrderItem(Answer, frozen=True, kw_only=True):
    """A line of an order with the product as it was when ordered: its price is frozen."""

    id: str
    product: Product
    quantity: int
    unit_price: str
    line_total: str


class Order(Answer, frozen=True, kw_only=True):
    """An order on its three axes: order, payment and fulfilment."""

    id: str
    number: str
    user: str
    items: list[OrderItem]
    subtotal: str
    tax: str
    shipping: str
    total: str
    currency: str
    status: str
    payment_status: str
    fulfilment_status: str
    created_at: str
    updated_at: str
    is_completed: bool
    version: int


class GetOrder(Request, frozen=True, kw_only=True):
    """One order of this user; another's is not found."""

    user_id: str
    order_id: OrderId


class GetOrders(Request, frozen=True, kw_only=True):
    """Many orders of this user; those that are not theirs are left out."""

    user_id: str
    order_ids: Annotated[list[OrderId], Meta(max_length=1000)]


class ListOrders(Request, frozen=True, kw_only=True):
    """A page of this user's orders, newest first."""

    user_id: str
    cursor: Annotated[str, Meta(max_length=1000)] | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class OrderPage(Answer, frozen=True, kw_only=True):
    """Orders in order, and where to go on (``None``: this is the end). Large orders make short pages."""

    items: list[Order]
    next_cursor: str | None


class CancelOrder(Request, frozen=True, kw_only=True):
    """Cancel until shipped: stock comes back, payment is voided."""

    user_id: str
    order_id: OrderId


class GetOrderHistory(Request, frozen=True, kw_only=True):
    """Every transition of an order: when, who, why."""

    user_id: str
    order_id: OrderId


class Transition(Answer, frozen=True, kw_only=True):
    """One step of an order on one of its axes."""

    at: str
    axis: str
    before: str
    after: str
    actor: str
    reason: str


class AuditOrders(Request, frozen=True, kw_only=True):
    """A page of all orders for the checker, by id."""

    after_order_id: str = ""
    limit: Annotated[int, Meta(ge=1, le=5000)] = 1000


class AuditedOrder(Answer, frozen=True, kw_only=True):
    """What the checker needs of one order."""

    id: str
    number: str
    user_id: str
    status: str
    units: int
    operation_id: str | None
    age_seconds: float


class OrdersAudit(Answer, frozen=True, kw_only=True):
    """A page of orders with the age of the oldest unpublished event; ``duplicates`` must be empty."""

    orders: list[AuditedOrder]
    duplicates: list[str]
    oldest_outbox_seconds: float


class OrderNotFound(Refusal):
    """No such order of this user."""

    code = "order.not_found"
    sentence = "There is no such order."


class InvalidTransition(Refusal):
    """The order is not in a state that allows this (``details['status']``)."""

    code = "order.invalid_transition"
    sentence = "The order is not in a state that allows this."


class PaymentDeclined(Refusal):
    """The provider said no. Nothing is held."""

    code = "order.payment_declined"
    sentence = "The payment was declined. Nothing was ordered."


class MixedCurrencies(Refusal):
    """An order has one currency."""

    code = "order.mixed_currencies"
    sentence = "The items are priced in different currencies; order them separately."


PLACE_ORDER = METHODS.changes("place_order", PlaceOrder, Order)
CHECKOUT = METHODS.changes("checkout", Checkout, Order)
GET_ORDER = METHODS.reads("get_order", GetOrder, Order)
GET_ORDERS = METHODS.reads("get_orders", GetOrders, list[Order])
LIST_ORDERS = METHODS.reads("list_orders", ListOrders, OrderPage)
CANCEL_ORDER = METHODS.changes("cancel_order", CancelOrder, Order)
GET_ORDER_HISTORY = METHODS.reads("get_order_history", GetOrderHistory, list[Transition])
AUDIT_ORDERS = METHODS.reads("audit_orders", AuditOrders, OrdersAudit, operator_only=True)
