"""What can be done with orders, in the words of the shop."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import msgspec
import structlog

from rpc_services.order.answers import show, show_transition
from rpc_services.order.domain import Order, Status, Terms, Transition, items_of
from rpc_services.order.saga import Saga
from shared.contracts import order as contract
from shared.contracts.cart import Cart, CartEmpty, CartOrdered
from shared.contracts.catalog import Line
from shared.contracts.refusals import InvalidRequest, OutcomeUnknown, Refusal, StaleVersion, Unavailable
from shared.values.identifiers import NewId, is_id
from shared.values.times import Clock

log = structlog.get_logger()

LARGEST_PAGE_BYTES = 2 * 2**20
"""Well below what one message may hold (3 MiB). An order alone may be larger; its lines are bounded by the contract."""


class OwnOrders(Protocol):
    """Orders that were acknowledged, each for its buyer's eyes only."""

    def of_user(self, user_id: str, order_ids: Sequence[str]) -> list[Order]:
        """Those of them that are this user's."""


class Orders(OwnOrders, Protocol):
    """The same, within one transaction, and what can be done to them."""

    def lock(self, user_id: str, order_id: str) -> Order | None:
        """One of this user's, locked until the transaction ends."""

    def page(self, user_id: str, before: str | None, limit: int) -> list[Order]:
        """This user's, newest first, older than ``before``."""

    def history(self, order_id: str) -> list[Transition]:
        """Every transition, oldest first."""

    def cancel(self, order: Order, steps: list[Transition]) -> None:
        """Write a locked order as cancelled, with its event."""


class Carts(Protocol):
    """The buyers' carts."""

    def look(self, user_id: str) -> Cart:
        """What is in it now."""

    def subtract(self, order: contract.Order) -> None:
        """Take out just what was ordered."""


class Books(Protocol):
    """What an auditor reads."""

    def page(self, after_order_id: str, limit: int) -> list[contract.AuditedOrder]:
        """Orders of every state, by id."""

    def duplicates(self) -> list[str]:
        """Operations that made more than one order."""

    def oldest_outbox_seconds(self) -> float:
        """How long the oldest unpublished event has waited."""


@dataclass(frozen=True, kw_only=True)
class Opening:
    """What a new order gets that nobody chooses."""

    operation_id: str | None
    new_id: NewId
    new_number: NewId
    clock: Clock


def place_order(request: contract.PlaceOrder, *, saga: Saga, opening: Opening) -> contract.Order | Any:
    """Order these items. Gives the order, or the first answer of a repeated operation as plain JSON.

    Raises the refusals of stock, payment and price, and what :meth:`Saga.begin` raises.
    """
    terms = _terms(request, from_cart=False)
    return _place(request.user_id, request.items, terms, saga=saga, opening=opening)


def checkout(request: contract.Checkout, *, saga: Saga, opening: Opening, carts: Carts) -> contract.Order | Any:
    """Order what the cart holds, then take just that out of it.

    Raises what :func:`place_order` raises, and :class:`StaleVersion`, :class:`CartEmpty`, :class:`CartOrdered`.
    """
    earlier = saga.earlier()
    if earlier is not None:
        return earlier
    try:
        settled = _settle(saga.desk.checkouts(request.user_id), carts)
        cart = carts.look(request.user_id)
        lines = _wanted(request, cart)
    except Refusal:
        earlier = saga.earlier()  # the first run may have emptied the cart while we looked
        if earlier is not None:
            return earlier
        raise
    terms = replace(_terms(request, from_cart=True), cart_state=f"{cart.id}/{cart.version}")
    placed = _place(request.user_id, lines, terms, saga=saga, opening=opening, settled=settled)
    _take_out(placed, carts)
    return placed


def resume_orders(*, saga: Saga, most: int) -> int:
    """Carry on up to so many orders that were left half-way. Gives how many."""
    for number in range(most):
        try:
            if not saga.resume_one():
                return number
        except Refusal as refusal:
            log.info("order.resumption_ended", code=refusal.code)
    return most


def get_order(request: contract.GetOrder, *, orders: OwnOrders) -> contract.Order:
    """One of the buyer's own. Raises ``OrderNotFound``."""
    return show(_own(request.user_id, request.order_id, orders))


def get_orders(request: contract.GetOrders, *, orders: OwnOrders) -> list[contract.Order]:
    """Many of the buyer's own, in the order they were asked for; others are left out."""
    ids = [order_id for order_id in dict.fromkeys(request.order_ids) if is_id(order_id)]
    found = {order.id: order for order in orders.of_user(request.user_id, ids)}
    return [show(found[order_id]) for order_id in ids if order_id in found]


def list_orders(request: contract.ListOrders, *, orders: Orders) -> contract.OrderPage:
    """A page of the buyer's own, newest first, cut short where it grows too large.

    Raises ``InvalidRequest`` for a bad cursor.
    """
    if request.cursor is not None and not is_id(request.cursor):
        raise InvalidRequest(errors=[{"pointer": "/cursor", "detail": "This is no cursor of this list."}])
    found = orders.page(request.user_id, request.cursor, request.limit + 1)
    page = _that_fit([show(order) for order in found[: request.limit]])
    next_cursor = page[-1].id if len(found) > len(page) else None
    return contract.OrderPage(items=page, next_cursor=next_cursor)


def get_order_history(request: contract.GetOrderHistory, *, orders: Orders) -> list[contract.Transition]:
    """Every transition of one of the buyer's own. Raises ``OrderNotFound``."""
    order = _own(request.user_id, request.order_id, orders)
    return [show_transition(step) for step in orders.history(order.id)]


def cancel_order(request: contract.CancelOrder, *, orders: Orders, clock: Clock) -> contract.Order:
    """Cancel it; its event gives the stock back, and :meth:`Saga.after_cancelling` the money.

    Raises ``OrderNotFound``, ``InvalidTransition``.
    """
    order = orders.lock(request.user_id, request.order_id) if is_id(request.order_id) else None
    if order is None:
        raise contract.OrderNotFound
    cancelled, steps = order.cancelled(clock(), actor=request.user_id)
    orders.cancel(cancelled, steps)
    return show(cancelled)


def audit_orders(request: contract.AuditOrders, *, books: Books) -> contract.OrdersAudit:
    """A page of all orders for the checker."""
    return contract.OrdersAudit(
        orders=books.page(request.after_order_id, request.limit),
        duplicates=books.duplicates(),
        oldest_outbox_seconds=books.oldest_outbox_seconds(),
    )


def _that_fit(orders: list[contract.Order]) -> list[contract.Order]:
    """As many of them as one answer may hold, but one at least."""
    room = LARGEST_PAGE_BYTES
    for number, order in enumerate(orders):
        room -= len(msgspec.json.encode(order))
        if room < 0:
            return orders[: max(number, 1)]
    return orders


def _place(  # noqa: PLR0913  # what, and whose help
    user_id: str,
    lines: Sequence[Line],
    terms: Terms,
    *,
    saga: Saga,
    opening: Opening,
    settled: Collection[str] = (),
) -> Any:
    saga.payments.check(terms.payment_token)
    order_id, at = opening.new_id(), opening.clock()
    order = Order(
        id=order_id,
        number=opening.new_number(),
        user_id=user_id,
        operation_id=opening.operation_id or f"order/{order_id}",
        items=items_of(lines, opening.new_id),
        terms=terms,
        created_at=at,
        updated_at=at,
    )
    return saga.begin(order, settled=settled)


def _terms(request: contract.PlaceOrder | contract.Checkout, *, from_cart: bool) -> Terms:
    address = request.shipping_address
    return Terms(
        shipping_address=None if address is None else msgspec.to_builtins(address),
        payment_token=request.payment_token,
        expected_total=request.expected_total,
        from_cart=from_cart,
    )


def _wanted(request: contract.Checkout, cart: Cart) -> list[Line]:
    if request.expected_version is not None and request.expected_version != cart.version:
        raise StaleVersion(version=cart.version)
    if not cart.items:
        raise CartEmpty
    return [Line(product_id=item.product_id, quantity=item.quantity) for item in cart.items]


def _settle(ordered: Sequence[Order], carts: Carts) -> set[str]:
    """See that the cart has let go of what was ordered from it, before it is looked at: nothing is ordered twice.

    Each is taken out once, however often that is asked. Gives their ids. Raises :class:`CartOrdered` while one is under
    way, :class:`Unavailable` when nobody knows whether the cart has heard: nothing was ordered yet.
    """
    if any(order.status is Status.PENDING for order in ordered):
        raise CartOrdered
    try:
        for order in ordered:
            carts.subtract(show(order))
    except OutcomeUnknown:
        raise Unavailable(retry_after=1) from None
    return {order.id for order in ordered}


def _take_out(placed: Any, carts: Carts) -> None:
    """If it fails, the cart hears of it by event. Whatever goes wrong here, the order stands, and its buyer is told."""
    try:
        carts.subtract(msgspec.convert(placed, contract.Order, from_attributes=True))
    except Refusal as refusal:
        log.info("order.cart_left_to_event", code=refusal.code)
    except Exception:  # the way to the cart, or its answer
        log.exception("order.cart_subtraction_failed")


def _own(user_id: str, order_id: str, orders: OwnOrders) -> Order:
    found = orders.of_user(user_id, [order_id]) if is_id(order_id) else []
    if not found:
        raise contract.OrderNotFound
    return found[0]
