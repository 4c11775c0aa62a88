import pytest

from edge.arguments import Offered, bind, gather
from shared.contracts.cart import SetItem
from shared.contracts.catalog import ListProducts, UpdateProduct
from shared.contracts.refusals import InvalidRequest

SET_ITEM = bind(
    SetItem,
    {
        "user_id": "caller.user_id",
        "cart_token": "caller.cart_token",
        "product_id": "path",
        "quantity": "body",
        "expected_version": "if-match",
    },
    name="set_item",
)
LIST = bind(
    ListProducts,
    dict.fromkeys(("category", "q", "min_price", "in_stock", "sort", "cursor", "limit"), "query"),
    name="list_products",
)


def offered(**parts):
    return Offered(**({"path": {}, "query": [], "body": {}, "known": {}} | parts))


def faults_of(binding, **parts):
    with pytest.raises(InvalidRequest) as refused:
        gather(binding, offered(**parts))
    return {fault["pointer"]: fault["detail"] for fault in refused.value.details["errors"]}


def test_arguments_come_from_path_body_headers_and_caller():
    arguments = gather(
        SET_ITEM,
        offered(path={"product_id": "7"}, body={"quantity": 2}, known={"caller.user_id": "u", "if-match": 4}),
    )

    assert arguments == {"product_id": 7, "quantity": 2, "user_id": "u", "expected_version": 4}


def test_every_bad_field_of_every_source_is_named_at_once():
    faults = faults_of(
        SET_ITEM,
        path={"product_id": "zero"},
        query=[("debug", "1")],
        body={"quantity": "2", "price": "0.01"},
        known={"caller.cart_token": "short"},
    )

    assert faults.keys() == {"/product_id", "/debug", "/quantity", "/price", "/X-Cart-Token"}


def test_a_query_cannot_say_who_calls():
    faults = faults_of(SET_ITEM, path={"product_id": "7"}, query=[("user_id", "victim")], body={"quantity": 1})

    assert faults.keys() == {"/user_id"}


def test_a_body_cannot_say_what_the_path_says():
    faults = faults_of(SET_ITEM, path={"product_id": "7"}, body={"quantity": 1, "product_id": 8})

    assert faults.keys() == {"/product_id"}


def test_numbers_and_truths_in_a_query_are_read_as_such():
    query = [("limit", "5"), ("in_stock", "true"), ("q", "null"), ("category", "3")]

    assert gather(LIST, offered(query=query)) == {"limit": 5, "in_stock": True, "q": "null", "category": 3}


@pytest.mark.parametrize("number", ["5.0", "1e1", "05", "+5", " 5", "\u0665", "", "null", "9" * 30])
def test_only_a_plain_whole_number_is_one(number):
    assert faults_of(LIST, query=[("limit", number)]).keys() == {"/limit"}


def test_a_parameter_given_twice_is_refused():
    assert faults_of(LIST, query=[("limit", "1"), ("limit", "2")]).keys() == {"/limit"}


def test_a_patch_carries_only_what_was_sent():
    binding = bind(UpdateProduct, {"product_id": "path", "price": "body", "name": "body"}, name="update_product")

    assert gather(binding, offered(path={"product_id": "7"}, body={"price": "2.00"})) == {
        "product_id": 7,
        "price": "2.00",
    }
    assert faults_of(binding, path={"product_id": "7"}, body={"price": None, "id": 8}).keys() == {"/price", "/id"}
