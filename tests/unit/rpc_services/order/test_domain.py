from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpc_services.order.domain import (
    FulfilmentStatus,
    Item,
    PaymentStatus,
    Status,
    Totals,
    Transition,
    items_of,
)
from shared.contracts.catalog import Line
from shared.contracts.order import InvalidTransition
from shared.contracts.refusals import InvalidRequest
from shared.values.identifiers import new_id
from shared.values.money import Money
from tests.fakes.carts import a_product
from tests.fakes.orders import START, a_confirmed_order, an_order


def some_lines(*wanted):
    return [Line(product_id=product_id, quantity=quantity) for product_id, quantity in wanted]


def test_equal_products_become_one_item_in_the_order_of_first_mention():
    items = items_of(some_lines((2, 1), (1, 5), (2, 3)), new_id)

    assert [(item.product_id, item.quantity) for item in items] == [(2, 4), (1, 5)]


def test_more_than_99_of_a_product_over_all_lines_is_refused_at_the_line_that_is_too_much():
    with pytest.raises(InvalidRequest) as refusal:
        items_of(some_lines((1, 60), (2, 1), (1, 40)), new_id)

    assert [fault["pointer"] for fault in refusal.value.details["errors"]] == ["/items/2/quantity"]


@given(st.lists(st.tuples(st.integers(1, 99), st.integers(0, 10**9)), min_size=1, max_size=20))
def test_a_total_is_exactly_the_sum_of_its_lines(lines):
    items = [
        Item(id=str(index), product_id=index, quantity=quantity, product=a_product(price=str(Money(price, "EUR"))))
        for index, (quantity, price) in enumerate(lines)
    ]

    assert Totals.of(items).total == Money(sum(quantity * price for quantity, price in lines), "EUR")


def test_an_order_without_prices_owes_nothing_anybody_could_name():
    with pytest.raises(ValueError):
        _ = an_order().owed
    with pytest.raises(ValueError):
        _ = an_order().items[0].frozen


def test_cancelling_moves_the_order_and_voids_an_authorized_payment():
    order, steps = a_confirmed_order(payment=PaymentStatus.AUTHORIZED).cancelled(START, actor="me")

    assert (order.status, order.payment_status, order.version) == (Status.CANCELLED, PaymentStatus.VOIDED, 3)
    assert [(step.axis, step.before, step.after) for step in steps] == [
        ("order", "confirmed", "cancelled"),
        ("payment", "authorized", "voided"),
    ]
    assert all(isinstance(step, Transition) and step.actor == "me" for step in steps)


def test_cancelling_an_order_to_be_paid_on_delivery_leaves_the_payment_alone():
    order, steps = a_confirmed_order().cancelled(START, actor="me")

    assert (order.payment_status, len(steps)) == (PaymentStatus.PENDING, 1)


@pytest.mark.parametrize("status", [Status.PENDING, Status.CANCELLED, Status.REJECTED])
def test_only_a_confirmed_order_can_be_cancelled(status):
    with pytest.raises(InvalidTransition) as refusal:
        replace(a_confirmed_order(), status=status).cancelled(START, actor="me")

    assert refusal.value.details["status"] == status


def test_a_delivered_order_cannot_be_cancelled():
    with pytest.raises(InvalidTransition):
        replace(a_confirmed_order(), fulfilment_status=FulfilmentStatus.DELIVERED).cancelled(START, actor="me")
