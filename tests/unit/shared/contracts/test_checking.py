import pytest

from shared.contracts import catalog, order
from shared.contracts.checking import read
from shared.contracts.refusals import InvalidRequest


def pointers(kind, data, **options):
    with pytest.raises(InvalidRequest) as caught:
        read(kind, data, **options)
    return {fault["pointer"] for fault in caught.value.details["errors"]}


def test_every_bad_field_is_named_at_once_and_exactly():
    bad = {
        "user_id": 3,
        "items": [{"product_id": 0, "quantity": 1.5}, {"quantity": 1, "colour": "red"}],
        "shipping_address": {"name": "x", "country": "de"},
        "note": "?",
    }

    assert pointers(order.PlaceOrder, bad) == {
        "/user_id",
        "/items/0/product_id",
        "/items/0/quantity",
        "/items/1/product_id",
        "/items/1/colour",
        "/shipping_address/line1",
        "/shipping_address/city",
        "/shipping_address/postal_code",
        "/shipping_address/country",
        "/note",
    }


@pytest.mark.parametrize("quantity", [0, -1, 100, 10**30, 1.0, "1", True, None, float("nan"), [], {}])
def test_a_quantity_is_a_whole_number_from_1_to_99(quantity):
    assert pointers(catalog.Line, {"product_id": 1, "quantity": quantity}) == {"/quantity"}


@pytest.mark.parametrize("data", [[], "text", 3, None, True])
def test_what_is_not_an_object_is_refused_as_a_whole(data):
    assert pointers(catalog.GetProduct, data) == {""}


def test_numbers_in_a_query_string_are_text():
    page = read(catalog.ListProducts, {"limit": "50", "in_stock": "true", "category": "4"}, strict=False)

    assert (page.limit, page.in_stock, page.category) == (50, True, 4)
    assert pointers(catalog.ListProducts, {"limit": "101", "in_stock": "perhaps"}, strict=False) == {
        "/limit",
        "/in_stock",
    }


def test_lone_surrogates_and_trailing_newlines_are_refused():
    product = {"name": "Tea", "description": "", "price": "1.00", "category_id": 1, "stock": 1}

    assert pointers(catalog.CreateProduct, product | {"description": "\ud800"})
    assert pointers(catalog.CreateProduct, product | {"currency": "EUR\n"}) == {"/currency"}
    assert read(catalog.CreateProduct, product).currency == "EUR"


def test_a_pointer_escapes_what_rfc_6901_says():
    assert pointers(catalog.GetProduct, {"product_id": 1, "a/b~c": 1}) == {"/a~1b~0c"}


def test_a_huge_list_of_faults_is_cut_short():
    items = [{"product_id": 0, "quantity": 0}] * 150

    assert len(pointers(order.PlaceOrder, {"user_id": "u", "items": items})) <= 100
