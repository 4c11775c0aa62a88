from rpc_services.order.answers import cancelled, placed, show
from rpc_services.order.domain import PaymentStatus
from tests.fakes.orders import a_confirmed_order


def test_a_buyer_sees_frozen_prices_line_by_line():
    answer = show(a_confirmed_order((1, 3), payment=PaymentStatus.AUTHORIZED))

    (item,) = answer.items
    assert (item.unit_price, item.line_total, item.product.name) == ("2.50", "7.50", "Thing 1")
    assert (answer.subtotal, answer.tax, answer.shipping, answer.total) == ("7.50", "0.00", "0.00", "7.50")
    assert (answer.currency, answer.payment_status, answer.is_completed) == ("EUR", "authorized", False)


def test_others_learn_what_was_ordered_and_whether_it_came_from_a_cart():
    event = placed(a_confirmed_order((1, 3), from_cart=True))

    assert [(line.product_id, line.quantity, line.line_total) for line in event.lines] == [(1, 3, "7.50")]
    assert (event.total, event.currency, event.from_cart) == ("7.50", "EUR", True)


def test_others_learn_which_order_was_cancelled():
    order = a_confirmed_order()

    assert (cancelled(order).order_id, cancelled(order).total) == (order.id, "5.00")
