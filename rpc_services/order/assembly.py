"""Puts the order service together: the saga with its collaborators in other services."""

from __future__ import annotations

from typing import Any, Protocol

from rpc_services.order.answers import show
from rpc_services.order.desk import SqlDesk
from rpc_services.order.domain import Order
from rpc_services.order.payments import payments_of
from rpc_services.order.saga import Saga
from rpc_services.order.settings import Settings
from rpc_services.order.use_cases import Opening
from shared.contracts import cart, catalog
from shared.contracts import order as contract
from shared.contracts.method import Method, Request
from shared.messaging.call import Call
from shared.messaging.transactions import Scope
from shared.metrics import trade
from shared.values.identifiers import new_id, new_order_number
from shared.values.money import Money
from shared.values.times import now


class Remote(Protocol):
    """Another service."""

    def call(self, method: Method, request: Request, *, operation_id: str | None = None) -> Any:
        """Its answer, or its refusal raised."""


class RemoteStock:
    """The catalogue's stock. Each step has one operation id per order, whoever takes it and how often."""

    def __init__(self, catalog_service: Remote) -> None:
        self._catalog = catalog_service

    def reserve(self, order: Order) -> list[catalog.ReservedLine]:
        """Hold it."""
        items = [catalog.Line(product_id=item.product_id, quantity=item.quantity) for item in order.items]
        request = catalog.ReserveStock(order_id=order.id, items=items)
        reservation: catalog.Reservation = self._catalog.call(
            catalog.RESERVE_STOCK, request, operation_id=f"order/{order.id}/reserve"
        )
        return reservation.lines

    def confirm(self, order: Order) -> None:
        """Sell it."""
        request = catalog.ConfirmStock(order_id=order.id)
        self._catalog.call(catalog.CONFIRM_STOCK, request, operation_id=f"order/{order.id}/confirm")

    def release(self, order: Order) -> None:
        """Give it back."""
        request = catalog.ReleaseStock(order_id=order.id)
        self._catalog.call(catalog.RELEASE_STOCK, request, operation_id=f"order/{order.id}/release")


class RemoteCarts:
    """The buyers' carts."""

    def __init__(self, cart_service: Remote) -> None:
        self._cart = cart_service

    def look(self, user_id: str) -> cart.Cart:
        """What is in it."""
        found: cart.Cart = self._cart.call(cart.GET_CART, cart.GetCart(user_id=user_id))
        return found

    def subtract(self, order: contract.Order) -> None:
        """Take out what was ordered."""
        items = [catalog.Line(product_id=item.product.id, quantity=item.quantity) for item in order.items]
        request = cart.SubtractItems(user_id=order.user, order_id=order.id, items=items)
        self._cart.call(cart.SUBTRACT_ITEMS, request, operation_id=f"order/{order.id}")


def saga_for(call: Call, *, scope: Scope, catalog_service: Remote, settings: Settings) -> Saga:
    """The steps of an order on behalf of this call."""
    return Saga(
        desk=SqlDesk(scope, call, clock=now),
        stock=RemoteStock(catalog_service),
        payments=payments_of(settings.payments),
        clock=now,
        show=show,
    )


def cancelled_now(answer: Any) -> None:
    """Count an order that this very run has cancelled."""
    trade.order("cancelled")
    trade.given_back(Money.parse(answer.total, answer.currency).minor_units, answer.currency)


def opening_of(call: Call) -> Opening:
    """What a new order gets that nobody chooses."""
    return Opening(operation_id=call.operation_id, new_id=new_id, new_number=new_order_number, clock=now)
