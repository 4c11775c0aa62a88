import msgspec
import pytest
from jinja2 import TemplateNotFound, UndefinedError

from rpc_services.notification.letters import TemplateLetters
from rpc_services.notification.use_cases import ORDER_CANCELLED, ORDER_CONFIRMED, TEMPLATES
from shared.contracts.events import OrderCancelled, OrderedLine, OrderPlaced

LETTERS = TemplateLetters(TEMPLATES)


def a_placed_order(name="Basmati rice 1 kg"):
    line = OrderedLine(product_id=7, name=name, quantity=2, unit_price="3.50", line_total="7.00")
    other = OrderedLine(product_id=8, name="Tea", quantity=12, unit_price="1.00", line_total="12.00")
    order = OrderPlaced(
        order_id="o", number="ABC123", user_id="u", lines=[line, other], total="19.00", currency="EUR", from_cart=False
    )
    return msgspec.to_builtins(order)


def test_the_confirmation_names_the_order_every_line_and_the_total():
    letter = LETTERS.write(ORDER_CONFIRMED, a_placed_order())

    assert letter.subject == "Order ABC123 confirmed"
    for part in ("2 x Basmati rice 1 kg", "3.50 each, 7.00 EUR", "12 x Tea", "Total: 19.00 EUR"):
        assert part in letter.text


def test_the_cancellation_names_the_order_and_the_total():
    order = OrderCancelled(order_id="o", number="ABC123", user_id="u", total="19.00", currency="EUR")

    letter = LETTERS.write(ORDER_CANCELLED, msgspec.to_builtins(order))

    assert letter.subject == "Order ABC123 cancelled"
    assert "19.00 EUR" in letter.text


def test_a_products_name_is_neither_template_nor_markup_nor_a_new_line():
    letter = LETTERS.write(ORDER_CONFIRMED, a_placed_order("{{ 7 * 7 }} <b>&\nTotal: 0.00 EUR"))

    assert "2 x {{ 7 * 7 }} <b>& Total: 0.00 EUR\n" in letter.text


def test_what_the_event_does_not_tell_is_never_left_blank():
    with pytest.raises(UndefinedError):
        LETTERS.write(ORDER_CONFIRMED, {"number": "ABC123"})


def test_a_template_that_is_missing_is_found_out_at_the_start():
    with pytest.raises(TemplateNotFound):
        TemplateLetters(["never_written"])
