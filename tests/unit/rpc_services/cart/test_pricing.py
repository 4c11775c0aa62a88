from rpc_services.cart.domain import CartLine, CartState
from rpc_services.cart.pricing import quote, snapshot_of
from tests.fakes.carts import START, a_product


def a_cart(*products, quantity=2):
    lines = tuple(
        CartLine(product_id=product.id, quantity=quantity, snapshot=snapshot_of(product)) for product in products
    )
    return CartState(id="c", version=3, lines=lines, expires_at=START)


def test_totals_are_at_today_s_prices_and_say_what_they_were():
    shown = quote(a_cart(a_product(1, price="2.50")), {1: a_product(1, price="3.00")})

    (item,) = shown.items
    assert (item.unit_price, item.current_price, item.line_total, shown.subtotal) == ("2.50", "3.00", "6.00", "6.00")
    assert [(each["product_id"], each["code"]) for each in shown.warnings] == [(1, "cart.price_changed")]


def test_a_product_that_is_gone_has_no_price_and_is_not_available():
    shown = quote(a_cart(a_product(1)), {})

    (item,) = shown.items
    assert (item.current_price, item.available, item.line_total) == (None, False, "5.00")
    assert [each["code"] for each in shown.warnings] == ["catalog.product_not_found"]


def test_a_line_larger_than_the_stock_is_not_available():
    shown = quote(a_cart(a_product(1), quantity=5), {1: a_product(1, stock=4)})

    assert not shown.items[0].available
    assert [each["code"] for each in shown.warnings] == ["catalog.out_of_stock"]


def test_nothing_is_said_when_nothing_changed():
    assert quote(a_cart(a_product(1)), {1: a_product(1)}).warnings == []


def test_a_line_in_another_currency_is_left_out_of_the_subtotal_with_a_warning():
    euros, yen = a_product(1, price="2.50"), a_product(2, price="300", currency="JPY")

    shown = quote(a_cart(euros, yen), {1: euros, 2: yen})

    assert (shown.subtotal, shown.currency) == ("5.00", "EUR")
    assert [(each["product_id"], each["code"]) for each in shown.warnings] == [(2, "order.mixed_currencies")]


def test_what_found_no_room_in_a_merge_is_named():
    shown = quote(a_cart(), {}, refused=(9,))

    assert [(each["product_id"], each["code"]) for each in shown.warnings] == [(9, "cart.limit_exceeded")]
