import base64
import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpc_services.catalog.paging import LARGEST_ID, Position, order_of, seal, start_of, unseal
from shared.contracts.refusals import InvalidRequest

IDS = st.integers(0, LARGEST_ID)
KEYS = {
    "id": st.none(),
    "newest": st.none(),
    "name": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=100),
    "price": st.integers(0, 10**15),
    "-price": st.integers(0, 10**15),
    "relevance": st.floats(-1, 1),
}
POSITIONS = st.sampled_from(sorted(KEYS)).flatmap(
    lambda order: st.builds(
        Position, order=st.just(order), match=st.sampled_from(["all", "words", "likeness"]), key=KEYS[order], id=IDS
    )
)


def cursor_of(*parts):
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


@given(POSITIONS)
def test_a_list_goes_on_exactly_where_it_stopped(position):
    assert unseal(seal(position), position.order) == position


@given(POSITIONS)
def test_a_cursor_fits_into_the_contract_even_when_it_is_sealed_once_more(position):
    assert len(base64.urlsafe_b64encode(seal(position).encode())) + 64 <= 1000


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "€",
        "!!!!",
        "e30",
        "AAAA",
        cursor_of("price", "all", 1),
        cursor_of("price", "all", "1", 1),
        cursor_of("price", "all", None, 1),
        cursor_of("price", "all", 1, None),
        cursor_of("price", "all", 1, -1),
        cursor_of("price", "all", 2**63, 1),
        cursor_of("price", "all", 1, 2**63),
        cursor_of("price", "all", 1e300, 1),
        cursor_of("price", "other", 1, 1),
        cursor_of("price", "all", 1, 1, 1),
        cursor_of("name", "all", "a", 1),
    ],
)
def test_a_cursor_that_is_none_of_this_list_is_refused(cursor):
    with pytest.raises(InvalidRequest) as refused:
        unseal(cursor, "price")

    assert refused.value.details["errors"][0]["pointer"] == "/cursor"


def test_a_name_that_no_database_takes_is_no_cursor():
    with pytest.raises(InvalidRequest):
        unseal(cursor_of("name", "all", "a\0b", 1), "name")


@given(st.text(max_size=60))
def test_no_text_whatever_is_more_than_refused(text):
    with contextlib.suppress(InvalidRequest):
        unseal(text, "name")


@pytest.mark.parametrize(
    ("sort", "words", "order"),
    [
        (None, None, "id"),
        (None, "tea", "relevance"),
        ("relevance", None, "id"),
        ("relevance", "tea", "relevance"),
        ("price", "tea", "price"),
    ],
)
def test_relevance_needs_words_and_is_what_words_are_sorted_by(sort, words, order):
    assert order_of(sort, words) == order


def test_a_list_starts_before_its_first_product():
    assert start_of("price", None) == Position(order="price", match="all")
    assert start_of("price", "tea") == Position(order="price", match="words")
