import itertools
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.contracts.refusals import InvalidRequest
from tests.integration.catalog.shop import a_row

SORTS = ["name", "price", "-price", "newest", None]


@pytest.fixture
def shelf(shop):
    """A category with forty products, some of the same name or price."""
    path = ["Shelf", str(random.getrandbits(60))]
    choice = random.Random(7)
    rows = [
        a_row(name=choice.choice("äAbBzé") * choice.randint(1, 3), price=f"{choice.randint(1, 9)}.00", category=path)
        for _ in range(40)
    ]
    shop.load(*rows)
    ids = shop.ids(*(row["sku"] for row in rows))
    return shop.get(next(iter(ids.values()))).category.id, set(ids.values()), path


def ids_of(pages):
    return [product.id for product in itertools.chain.from_iterable(pages)]


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("limit", [1, 7, 40, 100])
def test_pages_hold_every_product_once(shop, shelf, sort, limit):
    category, ids, _ = shelf

    pages = list(shop.pages(category=category, sort=sort, limit=limit))

    assert sorted(ids_of(pages)) == sorted(ids)
    assert all(len(page) == limit for page in pages[:-1])


@pytest.mark.parametrize("sort", SORTS)
def test_pages_neither_skip_nor_repeat_while_products_come_and_go(shop, shelf, sort):
    category, ids, path = shelf
    coming = random.Random(8)
    seen, gone = [], set()

    for page in shop.pages(category=category, sort=sort, limit=3):
        seen += [product.id for product in page]
        shop.load(a_row(name=coming.choice("äAbBzé"), price=f"{coming.randint(1, 9)}.00", category=path))
        if left := sorted(ids - gone - set(seen)):
            gone.add(left[0])
            shop.delete(left[0])

    assert len(seen) == len(set(seen))
    assert ids - gone <= set(seen)


def test_each_sort_orders_by_what_it_says(shop, shelf):
    category = shelf[0]

    def keys(sort, key):
        return [key(product) for product in shop.list(category=category, sort=sort, limit=100).items]

    prices = keys("price", lambda product: (float(product.price), product.id))
    assert prices == sorted(prices)
    assert keys("-price", lambda product: (float(product.price), product.id)) == prices[::-1]
    assert keys("newest", lambda product: product.id) == keys(None, lambda product: product.id)[::-1]
    letters = "".join(keys("name", lambda product: {"ä": "a", "é": "e"}.get(product.name[0], product.name[0].lower())))
    assert letters == "".join(sorted(letters))


def test_a_category_holds_what_those_below_it_hold(shop):
    rows = [a_row(category=path) for path in (["Deep"], ["Deep", "a"], ["Deep", "a", "b"], ["Other"])]
    shop.load(*rows)
    ids = shop.ids(*(row["sku"] for row in rows))
    deep = shop.get(ids[rows[0]["sku"]]).category.id

    found = shop.list(category=deep).items

    assert {product.id for product in found} == {ids[row["sku"]] for row in rows[:3]}
    assert shop.list(category=2**31 - 1).items == []


def test_price_limits_are_amounts_of_the_shop_and_include_themselves(shop):
    category = shop.a_category("Prices")
    for price in ("1.00", "2.00", "3.00"):
        shop.a_product(category_id=category, price=price)
    shop.a_product(category_id=category, price="2.00", currency="USD")

    found = shop.list(category=category, min_price="2.00", max_price="3.00").items

    assert [product.price for product in found] == ["2.00", "3.00"]


@pytest.mark.parametrize("field", ["min_price", "max_price"])
def test_a_price_limit_with_other_decimals_is_refused(shop, field):
    with pytest.raises(InvalidRequest) as refused:
        shop.list(**{field: "2"})

    assert refused.value.details["errors"][0]["pointer"] == f"/{field}"


def test_what_is_reserved_to_the_last_is_not_in_stock(shop):
    category = shop.a_category("Scarce")
    there, reserved = shop.a_product(category_id=category, stock=2), shop.a_product(category_id=category, stock=2)
    shop.reserve("0" * 8 + "-0000-4000-8000-" + f"{reserved.id:012}", (reserved.id, 2))
    empty = next(p.id for p in shop.list(category=category).items if p.id not in {there.id, reserved.id})
    shop.set_stock(empty, 0, expected=5)

    assert [product.id for product in shop.list(category=category, in_stock=True).items] == [there.id]
    assert {product.id for product in shop.list(category=category, in_stock=False).items} == {reserved.id, empty}


def test_words_are_found_in_any_form_and_a_name_counts_more_than_a_description(shop):
    named = shop.a_product(name="Walnut loaf", description="Bread.")
    described = shop.a_product(name="Bread", description="With a walnut or two.")
    shop.a_product(name="Pecan loaf", description="Bread.")

    assert [product.id for product in shop.list(q="walnuts").items] == [named.id, described.id]
    assert [product.id for product in shop.list(q='"walnut loaf" -pecan').items] == [named.id]


def test_a_product_is_found_by_its_sku(shop):
    product = shop.a_product(sku="ZX81-spectrum")

    assert [found.id for found in shop.list(q="ZX81-spectrum").items] == [product.id]


def test_a_slip_of_the_pen_still_finds(shop):
    product = shop.a_product(name="Pumpernickel")

    for slip in ("pumpernikel", "pumpern"):
        assert [found.id for found in shop.list(q=slip).items] == [product.id]
        assert [found.id for found in shop.list(q=slip, sort="price").items] == [product.id]


@pytest.mark.parametrize("word", ["xylophone", "xylofone"])
@pytest.mark.parametrize("sort", ["relevance", "price", "name"])
def test_pages_of_a_search_hold_every_find_once(shop, word, sort):
    rows = [a_row(name="Xylophone " * (1 + number % 3) + str(number % 4)) for number in range(11)]
    rows = [{**row, "sku": f"xylo-{number}"} for number, row in enumerate(rows)]
    shop.load(*rows)

    found = ids_of(shop.pages(q=word, sort=sort, limit=2))

    assert sorted(found) == sorted(shop.ids(*(row["sku"] for row in rows)).values())


def test_words_without_a_find_give_an_empty_page(shop):
    page = shop.list(q="qqqqzzzzxxxx")

    assert (page.items, page.next_cursor) == ([], None)


def test_a_cursor_belongs_to_its_sort(shop, shelf):
    cursor = shop.list(category=shelf[0], sort="price", limit=1).next_cursor

    with pytest.raises(InvalidRequest) as refused:
        shop.list(category=shelf[0], sort="name", limit=1, cursor=cursor)

    assert refused.value.details["errors"][0]["pointer"] == "/cursor"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60))
def test_no_words_whatever_are_a_fault(shop, words):
    shop.list(q=words, limit=2)
