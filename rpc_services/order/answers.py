"""Shows orders to others: to their buyers as answers, to other services as events."""

from __future__ import annotations

from rpc_services.order.domain import FulfilmentStatus, Item, Order, Transition
from shared.contracts import order as contract
from shared.contracts.events import OrderCancelled, OrderedLine, OrderPlaced
from shared.values.times import to_rfc3339


def show(order: Order) -> contract.Order:
    """A priced order as its buyer sees it."""
    owed = order.owed
    return contract.Order(
        id=order.id,
        number=order.number,
        user=order.user_id,
        items=[_show_item(item) for item in order.items],
        subtotal=str(owed.subtotal),
        tax=str(owed.tax),
        shipping=str(owed.shipping),
        total=str(owed.total),
        currency=owed.total.currency,
        status=order.status.value,
        payment_status=order.payment_status.value,
        fulfilment_status=order.fulfilment_status.value,
        created_at=to_rfc3339(order.created_at),
        updated_at=to_rfc3339(order.updated_at),
        is_completed=order.fulfilment_status is FulfilmentStatus.DELIVERED,
        version=order.version,
    )


def show_transition(step: Transition) -> contract.Transition:
    """One line of an order's history."""
    return contract.Transition(
        at=to_rfc3339(step.at),
        axis=step.axis.value,
        before=step.before,
        after=step.after,
        actor=step.actor,
        reason=step.reason,
    )


def placed(order: Order) -> OrderPlaced:
    """What others learn of a confirmed order."""
    return OrderPlaced(
        order_id=order.id,
        number=order.number,
        user_id=order.user_id,
        lines=[
            OrderedLine(
                product_id=item.product_id,
                name=item.frozen.name,
                quantity=item.quantity,
                unit_price=str(item.unit_price),
                line_total=str(item.unit_price.times(item.quantity)),
            )
            for item in order.items
        ],
        total=str(order.owed.total),
        currency=order.owed.total.currency,
        from_cart=order.terms.from_cart,
    )


def cancelled(order: Order) -> OrderCancelled:
    """What others learn of a cancelled order."""
    total = order.owed.total
    return OrderCancelled(
        order_id=order.id, number=order.number, user_id=order.user_id, total=str(total), currency=total.currency
    )


def _show_item(item: Item) -> contract.OrderItem:
    return contract.OrderItem(
        id=item.id,
        product=item.frozen,
        quantity=item.quantity,
        unit_price=str(item.unit_price),
        line_total=str(item.unit_price.times(item.quantity)),
    )
