import msgspec

from kirana.seeding.demo import demo_rows
from shared.contracts.catalog import ProductRow
from shared.values.money import Money


def test_the_made_up_shop_is_the_same_every_time():
    assert list(demo_rows(300)) == list(demo_rows(300))


def test_a_larger_shop_begins_like_a_smaller_one():
    assert list(demo_rows(300))[:100] == list(demo_rows(100))


def test_every_row_is_one_that_the_catalog_takes():
    rows = [msgspec.convert(row, ProductRow) for row in demo_rows(2000)]

    assert len({row.sku for row in rows}) == 2000
    assert all(Money.parse(row.price, row.currency).minor_units > 0 for row in rows)


def test_most_goods_are_in_stock_and_some_are_sold_out():
    stocks = [row["stock"] for row in demo_rows(2000)]

    assert 0 < stocks.count(0) < 100
    assert next(demo_rows(1))["stock"] > 0
