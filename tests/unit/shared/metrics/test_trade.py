import pytest

from shared.metrics import trade
from shared.metrics.counting import registry
from shared.metrics.rendering import rendered


def seen(name, **labels):
    return registry.get_sample_value(name, labels)


def test_what_may_become_of_orders_and_holds_is_there_before_it_happens():
    trade.tell_orders()
    trade.tell_holds()

    assert None not in [seen("kirana_orders_total", outcome=each) for each in trade.ORDER_OUTCOMES]
    assert None not in [seen("kirana_stock_holds_total", outcome=each) for each in trade.HOLD_OUTCOMES]


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("out_of_stock", "out_of_stock"),
        ("payment_declined", "payment_declined"),
        ("price_changed", "refused"),
        ("a customer's own words", "refused"),
    ],
    ids=["stock", "payment", "price", "anything"],
)
def test_a_refusal_counts_as_what_it_is_or_as_a_refusal(code, outcome):
    before = seen("kirana_orders_total", outcome=outcome) or 0

    trade.order(code)

    assert seen("kirana_orders_total", outcome=outcome) == before + 1


def test_money_is_counted_by_currency_both_ways():
    trade.taken(1999, "EUR")
    trade.given_back(999, "EUR")

    assert seen("kirana_orders_revenue_minor_units_total", currency="EUR", kind="taken") >= 1999
    assert seen("kirana_orders_revenue_minor_units_total", currency="EUR", kind="given_back") >= 999


def test_what_was_never_measured_is_not_told_as_nothing():
    def told():
        return any("kirana_stock_gone_products" in text for text in rendered([registry]))

    before = told()
    trade.stock_gone.set(7)

    assert not before
    assert seen("kirana_stock_gone_products") == 7
