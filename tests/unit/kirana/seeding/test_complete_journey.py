import pytest

from kirana.seeding.complete_journey import MAX_STOCK, read_baskets, read_shop
from shared.values.money import Money


@pytest.fixture(scope="module")
def shop():
    return read_shop()


def test_every_product_of_the_data_set_is_on_sale(shop):
    assert len(shop.rows) == 92_331
    assert len({row["sku"] for row in shop.rows}) == 92_331
    assert shop.bad == []


def test_every_product_has_a_name_a_price_and_a_place(shop):
    assert all(row["name"].strip() and row["category"] for row in shop.rows)
    assert all(Money.parse(row["price"], "EUR").minor_units > 0 for row in shop.rows)
    assert all(0 <= row["stock"] <= MAX_STOCK for row in shop.rows)


def test_most_prices_come_from_the_products_own_sales(shop):
    assert shop.price_sources["its own sales"] > 68_000
    assert sum(shop.price_sources.values()) == 92_331


def test_baskets_are_of_as_many_households_and_hold_only_goods_on_sale(shop):
    skus = {row["sku"] for row in shop.rows}

    baskets = read_baskets(50)

    assert len({basket.household for basket in baskets}) == 50
    assert all(sku in skus and units > 0 for basket in baskets for sku, units in basket.units.items())
