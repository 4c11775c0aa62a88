import threading

import pytest
from sqlalchemy import text

from rpc_services.catalog.storage import SqlBooks
from shared.contracts.catalog import CategoryNotFound, ProductNotFound, SkuTaken, StockConflict
from shared.contracts.refusals import InvalidRequest, StaleVersion
from tests.integration.catalog.shop import a_row, an_order


def pointers(refusal):
    return [error["pointer"] for error in refusal.value.details["errors"]]


def test_a_new_product_is_found_as_it_was_described(shop):
    made = shop.a_product(name="Äpfel", price="1.05", currency="CHF", stock=4, image="/a.png")

    assert shop.get(made.id) == made
    assert (made.sku, made.version, made.stock, made.price) == (f"K-{made.id}", 1, 4, "1.05")
    assert shop.events(made.id) == [1]
    assert shop.ledger(made.id) == [("counted", 4)]


def test_a_sku_that_was_made_by_hand_is_never_made_again(shop):
    last = shop.a_product()
    shop.a_product(sku=f"K-{last.id + 2}")

    made = [shop.a_product() for _ in range(2)]

    assert all(product.sku == f"K-{product.id}" for product in made)


def test_two_products_never_share_a_sku(shop):
    one, other = shop.a_product(sku="same-sku"), shop.a_product()

    with pytest.raises(SkuTaken):
        shop.a_product(sku=one.sku)
    with pytest.raises(SkuTaken):
        shop.update(other.id, sku=one.sku)


def test_the_sku_of_a_deleted_product_is_free_again(shop):
    gone = shop.a_product(sku="free-again")
    shop.delete(gone.id)

    assert shop.a_product(sku="free-again").id != gone.id


@pytest.mark.parametrize(("price", "currency"), [("1.5", "EUR"), ("1", "EUR"), ("1.00", "JPY"), ("1.00", "KWD")])
def test_a_price_has_exactly_the_decimals_of_its_currency(shop, price, currency):
    with pytest.raises(InvalidRequest) as refused:
        shop.a_product(price=price, currency=currency)

    assert pointers(refused) == ["/price"]


def test_a_currency_that_the_shop_does_not_take_is_refused(shop):
    with pytest.raises(InvalidRequest) as refused:
        shop.a_product(currency="XXX")

    assert pointers(refused) == ["/currency"]


def test_a_product_needs_a_category_that_exists(shop):
    with pytest.raises(CategoryNotFound):
        shop.a_product(category_id=2**31 - 1)
    with pytest.raises(CategoryNotFound):
        shop.update(shop.a_product().id, category_id=2**31 - 1)


def test_a_change_makes_the_next_version_and_is_announced(shop):
    product = shop.a_product(stock=3)
    shop.wait(seconds=1)

    changed = shop.update(product.id, name="Other", price="11.00", stock=7, expected_version=1)

    assert (changed.name, changed.price, changed.stock, changed.version) == ("Other", "11.00", 7, 2)
    assert changed.updated_at > changed.created_at
    assert shop.get(product.id) == changed
    assert shop.events(product.id) == [1, 2]


def test_a_change_of_nothing_makes_no_version(shop):
    product = shop.a_product()

    assert shop.update(product.id, name=product.name) == product
    assert shop.events(product.id) == [1]


def test_a_change_of_what_was_not_seen_is_refused(shop):
    product = shop.a_product()
    shop.update(product.id, name="Other")

    with pytest.raises(StaleVersion) as refused:
        shop.update(product.id, name="Third", expected_version=1)
    with pytest.raises(StaleVersion):
        shop.delete(product.id, expected_version=1)

    assert refused.value.details == {"version": 2}


def test_of_changes_that_saw_the_same_version_one_wins(shop):
    product = shop.a_product()
    line, outcomes = threading.Barrier(10), []

    def change(number):
        line.wait()
        try:
            outcomes.append(shop.update(product.id, name=f"Name {number}", expected_version=1).version)
        except StaleVersion:
            outcomes.append(None)

    threads = [threading.Thread(target=change, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes, key=str) == [2] + [None] * 9


def test_changing_the_currency_alone_needs_a_price_that_fits(shop):
    product = shop.a_product(price="10.00")

    assert shop.update(product.id, currency="USD").price == "10.00"
    with pytest.raises(InvalidRequest):
        shop.update(product.id, currency="JPY")


def test_setting_what_is_for_sale_leaves_what_is_reserved(shop):
    product = shop.a_product(stock=5)
    shop.reserve(an_order(), (product.id, 2))

    assert shop.update(product.id, stock=5).stock == 5
    assert shop.stock(product.id) == (7, 2)


def test_stock_is_only_counted_anew_by_who_knows_what_was_there(shop):
    product = shop.a_product(stock=37)

    assert shop.set_stock(product.id, 40, expected=37).stock == 40
    with pytest.raises(StockConflict) as refused:
        shop.set_stock(product.id, 41, expected=37)

    assert refused.value.details["on_hand"] == 40


def test_stock_never_goes_below_what_is_reserved(shop):
    product = shop.a_product(stock=5)
    shop.reserve(an_order(), (product.id, 3))

    with pytest.raises(StockConflict):
        shop.set_stock(product.id, 2, expected=5)

    assert shop.set_stock(product.id, 3, expected=5).stock == 0


def test_a_deleted_product_is_gone_but_what_was_held_of_it_is_sold(shop):
    product, order = shop.a_product(stock=5), an_order()
    shop.reserve(order, (product.id, 2))

    shop.delete(product.id)
    shop.confirm(order)

    assert shop.stock(product.id) == (3, 0)
    assert shop.events(product.id) == [1, 2]
    for act in (shop.get, shop.delete):
        with pytest.raises(ProductNotFound):
            act(product.id)
    with pytest.raises(ProductNotFound):
        shop.update(product.id, name="Back")


def test_many_products_come_in_the_order_asked_for_without_the_unknown(shop):
    one, two = shop.a_product(), shop.a_product()

    assert shop.get_many(two.id, 2**62, one.id, two.id) == [two, one]
    assert shop.get_many() == []


def test_categories_are_a_tree_by_name(shop):
    shop.load(a_row(category=["Tree", "b", "x"]), a_row(category=["Tree", "a"]), a_row(category=["Tree", "b", "x"]))

    (tree,) = [node for node in shop.categories() if node.name == "Tree"]

    assert [(node.name, [child.name for child in node.children]) for node in tree.children] == [
        ("a", []),
        ("b", ["x"]),
    ]


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE stock SET on_hand = on_hand + 1 WHERE product_id = :id",
        "UPDATE stock SET reserved = reserved + 1 WHERE product_id = :id",
        "UPDATE reservations SET state = 'released' WHERE order_id = :order",
        "INSERT INTO stock_movements (product_id, change, reason, order_id, at) SELECT :id, -1, 'sold', :order, now()",
    ],
)
def test_the_audit_sees_what_does_not_add_up(shop, tampering):
    product, order = shop.a_product(stock=5), an_order()
    shop.reserve(order, (product.id, 2))

    with shop.scope.writing() as session, session.begin_nested() as tampered:
        session.execute(text(tampering), {"id": product.id, "order": order})
        violations = SqlBooks(session).violations()
        tampered.rollback()

    assert violations


def test_the_ledger_cannot_be_rewritten(shop):
    product = shop.a_product(stock=5)

    with shop.scope.writing() as session:
        for rewriting in ("UPDATE stock_movements SET change = 6", "DELETE FROM stock_movements"):
            with pytest.raises(Exception, match="only ever added to"), session.begin_nested():
                session.execute(text(f"{rewriting} WHERE product_id = :id"), {"id": product.id})


def test_the_audit_counts_what_was_sold_and_not_given_back(shop):
    before = shop.audit()
    product, kept, returned = shop.a_product(stock=9), an_order(), an_order()
    for order in (kept, returned):
        shop.reserve(order, (product.id, 2))
        shop.confirm(order)
    shop.release(returned)

    audit = shop.audit()

    assert audit.units_sold == before.units_sold + 2
    assert audit.products == before.products + 2
    assert audit.oldest_outbox_seconds > 0
