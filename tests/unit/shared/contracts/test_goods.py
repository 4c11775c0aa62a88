import pytest

from shared.contracts.catalog import CreateProduct, ListProducts, UpdateProduct
from shared.contracts.checking import read
from shared.contracts.order import Checkout, PlaceOrder
from shared.contracts.refusals import InvalidRequest

PRODUCT = {"name": "Tea", "description": "", "price": "1.00", "category_id": 1, "stock": 1}
LINE = {"product_id": 1, "quantity": 99}
ORDER = {"user_id": "u", "items": [LINE]}


def pointers(kind, given):
    with pytest.raises(InvalidRequest) as refused:
        read(kind, given)
    return sorted(fault["pointer"] for fault in refused.value.details["errors"])


@pytest.mark.parametrize(
    ("kind", "given", "named"),
    [
        (CreateProduct, {**PRODUCT, "name": "", "price": "1.0"}, ["/name", "/price"]),
        (CreateProduct, {**PRODUCT, "name": "", "price": "1"}, ["/name", "/price"]),
        (CreateProduct, {**PRODUCT, "name": "", "price": "1.00", "currency": "JPY"}, ["/name", "/price"]),
        (CreateProduct, PRODUCT | {"image": 7, "currency": "XXX", "price": "1.0"}, ["/currency", "/image", "/price"]),
        (CreateProduct, {**PRODUCT, "image": "x:", "currency": "XXX"}, ["/currency", "/image"]),
        (CreateProduct, {**PRODUCT, "price": "one", "currency": "eur"}, ["/currency", "/price"]),
        (UpdateProduct, {"product_id": 1, "name": "", "price": "1.0"}, ["/name", "/price"]),
        (UpdateProduct, {"product_id": 1, "name": "", "price": "1.00", "currency": "KWD"}, ["/name", "/price"]),
        (UpdateProduct, {"product_id": 1, "name": "", "currency": "XXX"}, ["/currency", "/name"]),
        (ListProducts, {"sort": "zz", "min_price": "1.0", "max_price": "2.0"}, ["/max_price", "/min_price", "/sort"]),
        (PlaceOrder, {**ORDER, "x": 1, "expected_total": "1.5"}, ["/expected_total", "/x"]),
        (PlaceOrder, {**ORDER, "items": [LINE, {**LINE, "quantity": 1}], "x": 1}, ["/items/1/quantity", "/x"]),
        (Checkout, {"user_id": 7, "x": 7, "expected_total": "1.5"}, ["/expected_total", "/user_id", "/x"]),
    ],
)  # fmt: skip
def test_what_is_no_field_s_own_fault_is_named_with_all_others(kind, given, named):
    assert pointers(kind, given) == named


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (CreateProduct, {**PRODUCT, "name": ""}),
        (CreateProduct, {**PRODUCT, "name": "", "price": "100", "currency": "JPY"}),
        (UpdateProduct, {"product_id": 1, "name": "", "price": "100"}),
        (UpdateProduct, {"product_id": 1, "name": "", "price": "1.000"}),
        (ListProducts, {"limit": 0, "min_price": "1", "max_price": "2.00"}),
        (PlaceOrder, {**ORDER, "x": 1, "expected_total": "15"}),
        (PlaceOrder, {**ORDER, "items": [LINE, {"product_id": 2, "quantity": 1}], "x": 1}),
    ],
)
def test_what_may_be_right_in_a_currency_that_only_the_service_knows_is_left_to_it(kind, given):
    assert len(pointers(kind, given)) == 1


@pytest.mark.parametrize("items", [7, None, [7], [{}], [{"product_id": [], "quantity": 1}], [{"quantity": 200}] * 2])
def test_lines_that_are_none_are_told_as_such_only(items):
    assert all(each.count("/") <= 3 for each in pointers(PlaceOrder, {"user_id": "u", "items": items}))


def test_too_many_lines_are_told_as_such():
    assert pointers(PlaceOrder, {"user_id": "u", "items": [LINE] * 201}) == ["/items"]


def test_every_line_that_makes_it_too_much_is_named():
    lines = [
        LINE,
        {"product_id": 1, "quantity": 1},
        {"product_id": 2, "quantity": 99},
        {"product_id": 1, "quantity": 0},
    ]

    assert pointers(PlaceOrder, {"user_id": "u", "items": lines}) == ["/items/1/quantity", "/items/3/quantity"]
