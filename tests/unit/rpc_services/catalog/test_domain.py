from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpc_services.catalog.domain import (
    Category,
    Hold,
    State,
    Stock,
    answer_of,
    checked_rows,
    demand_of,
    order_id_of,
    price_of,
    shortages_of,
    tree_of,
)
from shared.contracts.catalog import ReservationLost, StockConflict
from shared.contracts.refusals import InvalidRequest, StaleVersion
from tests.unit.rpc_services.catalog.builders import NOON, a_product


def pointers(refused):
    return [error["pointer"] for error in refused.value.details["errors"]]


def a_row(**fields):
    known = {"sku": "a", "name": "A", "description": "", "price": "1.00", "category": ["Food"], "stock": 1}
    return {**known, **fields}


def test_what_can_be_bought_is_what_nobody_has_reserved():
    assert Stock(on_hand=5, reserved=2).available == 3


@pytest.mark.parametrize(("on_hand", "expected"), [(9, 4), (1, 5)])
def test_a_count_that_is_stale_or_below_what_is_reserved_is_refused_with_the_truth(on_hand, expected):
    with pytest.raises(StockConflict) as refused:
        Stock(on_hand=5, reserved=2).counted(on_hand, expected=expected)

    assert refused.value.details == {"on_hand": 5, "reserved": 2}


def test_a_count_leaves_what_is_reserved():
    assert Stock(on_hand=5, reserved=2).counted(2, expected=5) == Stock(on_hand=2, reserved=2)


def test_offering_so_many_counts_what_is_reserved_on_top():
    assert Stock(on_hand=5, reserved=2).offering(5) == Stock(on_hand=7, reserved=2)


def test_a_product_of_another_version_is_not_what_was_expected():
    a_product(version=3).expect(3)
    a_product(version=3).expect(None)

    with pytest.raises(StaleVersion) as refused:
        a_product(version=3).expect(2)

    assert refused.value.details == {"version": 3}


def test_a_touched_product_is_the_next_version():
    touched = a_product(version=3).touched(NOON + timedelta(seconds=1))

    assert (touched.version, touched.updated_at) == (4, NOON + timedelta(seconds=1))


def test_only_a_released_order_is_lost_for_good():
    for state in State:
        hold = Hold("an order", state, NOON)
        if state is State.RELEASED:
            with pytest.raises(ReservationLost):
                hold.refuse_if_released()
        else:
            hold.refuse_if_released()


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 99)), max_size=30))
def test_demand_is_the_sum_per_product_in_the_order_of_ids(lines):
    demand = demand_of(lines)

    assert list(demand) == sorted({product_id for product_id, _ in lines})
    assert sum(demand.values()) == sum(quantity for _, quantity in lines)


def test_a_shortage_says_what_was_wanted_and_what_there_is():
    stocks = {1: Stock(5, 5), 2: Stock(5, 0), 3: Stock(5, 3)}

    assert shortages_of({1: 1, 2: 5, 3: 3}, stocks) == [
        {"product_id": 1, "wanted": 1, "available": 0},
        {"product_id": 3, "wanted": 3, "available": 2},
    ]


@pytest.mark.parametrize(
    ("amount", "currency", "pointer"),
    [("1.0", "EUR", "/price"), ("1", "EUR", "/price"), ("1.00", "JPY", "/price"), ("1.00", "XXX", "/currency")],
)
def test_a_price_that_is_none_names_the_field(amount, currency, pointer):
    with pytest.raises(InvalidRequest) as refused:
        price_of(amount, currency)

    assert pointers(refused) == [pointer]


def test_an_order_id_has_one_spelling():
    assert order_id_of("0190ABCD-0000-7000-8000-00000000000F") == "0190abcd-0000-7000-8000-00000000000f"


@pytest.mark.parametrize("text", ["", "x" * 36, "\0" * 36])
def test_an_order_id_that_is_no_uuid_is_refused(text):
    with pytest.raises(InvalidRequest) as refused:
        order_id_of(text)

    assert pointers(refused) == ["/order_id"]


def test_a_tree_holds_every_category_once_in_the_given_order():
    flat = [Category(2, 1, "b", ""), Category(1, None, "a", ""), Category(3, 1, "c", ""), Category(4, 2, "d", "")]

    (root,) = tree_of(flat)

    assert [child.id for child in root.children] == [2, 3]
    assert [child.id for child in root.children[0].children] == [4]


def test_the_answer_says_money_and_times_as_text():
    answer = answer_of(a_product(price="1.50", on_hand=5, reserved=2))

    assert (answer.price, answer.currency, answer.stock) == ("1.50", "EUR", 3)
    assert answer.created_at == "2026-03-01T12:00:00.000000Z"


def test_a_bad_row_is_reported_with_every_fault_and_spoils_no_other():
    good, bad = checked_rows([a_row(), a_row(sku="b", name="", stock=-1), a_row(sku="c", price="1.0"), {}])

    assert [checked.row.sku for checked in good] == ["a"]
    assert [(row.index, row.sku) for row in bad] == [(1, "b"), (2, "c"), (3, "")]
    assert "/name" in bad[0].reason
    assert "/stock" in bad[0].reason


def test_of_rows_with_one_sku_the_first_is_accepted():
    good, bad = checked_rows([a_row(name="First"), a_row(name="Second")])

    assert [checked.row.name for checked in good] == ["First"]
    assert [row.index for row in bad] == [1]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5), st.lists, max_leaves=3
)
ROW = st.fixed_dictionaries({}, optional=dict.fromkeys(a_row(), JSON))


@given(st.lists(ROW, max_size=5))
def test_every_row_is_either_accepted_or_reported(rows):
    good, bad = checked_rows(rows)

    assert len(good) + len(bad) == len(rows)
