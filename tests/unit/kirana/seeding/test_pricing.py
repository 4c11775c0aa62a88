from kirana.seeding.pricing import PriceList


def a_product(number, *, department="GROCERY", category="FROZEN", kind="WAFFLES", size="12 OZ"):
    return {
        "product_id": number,
        "department": department,
        "product_category": category,
        "product_type": kind,
        "package_size": size,
    }


def test_the_price_is_the_median_of_what_was_paid():
    prices = PriceList([a_product(1), a_product(2)], {1: [1.00, 2.50, 9.00], 2: [1.00, 2.00]})

    assert prices.price_of(a_product(1)) == "2.50"
    assert prices.price_of(a_product(2)) == "1.50"


def test_half_a_cent_is_rounded_up():
    assert PriceList([a_product(1)], {1: [0.995]}).price_of(a_product(1)) == "1.00"


def test_an_unsold_product_costs_what_the_nearest_goods_cost():
    same_size, same_type, same_category = (
        a_product(1), a_product(2, size="24 OZ"), a_product(3, kind="PIZZA"),
    )  # fmt: skip
    products = [same_size, same_type, same_category]
    prices = PriceList(products, {1: [2.00], 2: [4.00], 3: [9.00]})

    assert prices.price_of(a_product(9)) == "2.00"
    assert prices.price_of(a_product(9, size="99 OZ")) == "3.00"
    assert prices.price_of(a_product(9, kind="PEAS")) == "4.00"
    assert prices.price_of(a_product(9, department="FLORAL")) == "4.00"
    assert prices.sources == {
        "its own sales": 0, "same type and size": 1, "same type": 1, "same category": 1, "same department": 0,
        "the whole shop": 1,
    }  # fmt: skip


def test_a_product_sold_for_nothing_is_priced_like_an_unsold_one():
    prices = PriceList([a_product(1), a_product(2)], {1: [0.0, 0.0, 0.001], 2: [3.00]})

    assert prices.price_of(a_product(1)) == "3.00"


def test_nothing_is_ever_free():
    assert PriceList([a_product(1)], {}).price_of(a_product(1)) == "0.01"
