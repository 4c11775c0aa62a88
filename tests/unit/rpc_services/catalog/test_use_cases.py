from datetime import timedelta
from functools import partial

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rpc_services.catalog import use_cases
from rpc_services.catalog.domain import HOLD_TIME, Reason, State, Stock
from shared.contracts import catalog
from shared.contracts.catalog import CategoryNotFound, OutOfStock, ProductNotFound, ReservationLost, SkuTaken
from shared.contracts.refusals import InvalidRequest, Refusal, StaleVersion
from tests.unit.rpc_services.catalog.builders import FOOD, NOON, SOAP, a_product
from tests.unit.rpc_services.catalog.fakes import (
    FakeEvents,
    FakeHolds,
    FakeImports,
    FakeListings,
    FakeProducts,
    FakeStocks,
)

ORDER = "0190abcd-0000-7000-8000-000000000001"


class Shop:
    def __init__(self, *products):
        self.at = NOON
        self.stocks, self.holds, self.events = FakeStocks(), FakeHolds(), FakeEvents()
        self.products = FakeProducts(self.stocks, [FOOD, SOAP])
        for product in products:
            self.products.put(product)

    def clock(self):
        return self.at

    def get(self, product_id):
        return use_cases.get_product(catalog.GetProduct(product_id=product_id), products=self.products)

    def create(self, **fields):
        known = {"name": "Tea", "description": "", "price": "1.00", "category_id": 1, "stock": 5}
        return self._change(use_cases.create_product, catalog.CreateProduct(**{**known, **fields}))

    def update(self, *, seen_stock=None, **fields):
        request = catalog.UpdateProduct(product_id=1, **fields)
        return self._change(partial(use_cases.update_product, seen_stock=seen_stock), request)

    def delete(self):
        return self._change(use_cases.delete_product, catalog.DeleteProduct(product_id=1))

    def set_stock(self, on_hand, expected, **more):
        request = catalog.SetStock(product_id=1, on_hand=on_hand, expected=expected, **more)
        return self._change(use_cases.set_stock, request)

    def reserve(self, *lines, order=ORDER):
        items = [catalog.Line(product_id=product_id, quantity=quantity) for product_id, quantity in lines]
        return use_cases.reserve_stock(
            catalog.ReserveStock(order_id=order, items=items),
            products=self.products,
            stocks=self.stocks,
            holds=self.holds,
            clock=self.clock,
        )

    def confirm(self, order=ORDER):
        request = catalog.ConfirmStock(order_id=order)
        return use_cases.confirm_stock(request, stocks=self.stocks, holds=self.holds, clock=self.clock)

    def release(self, order=ORDER):
        return use_cases.release_stock(order, stocks=self.stocks, holds=self.holds, clock=self.clock)

    def expire(self):
        return use_cases.expire_holds(stocks=self.stocks, holds=self.holds, clock=self.clock)

    def _change(self, use_case, request):
        return use_case(request, products=self.products, events=self.events, clock=self.clock)


def test_an_unknown_product_is_named():
    with pytest.raises(ProductNotFound) as refused:
        Shop().get(7)

    assert refused.value.details == {"product_ids": [7]}


def test_many_products_come_once_each_in_the_order_asked_for():
    shop = Shop(a_product(1), a_product(2))

    found = use_cases.get_products(catalog.GetProducts(product_ids=[2, 9, 1, 2]), products=shop.products)

    assert [product.id for product in found] == [2, 1]


def test_a_new_product_is_on_sale_and_announced():
    shop = Shop()

    made = shop.create(stock=4)

    assert shop.get(made.id) == made
    assert shop.events.changed == [(made.id, 1)]


def test_a_product_without_a_category_is_refused_before_anything_is_written():
    shop = Shop()

    with pytest.raises(CategoryNotFound):
        shop.create(category_id=9)

    assert shop.events.changed == []


def test_a_sku_is_given_once():
    shop = Shop(a_product(1, sku="tea"))

    with pytest.raises(SkuTaken):
        shop.create(sku="tea")


def test_a_change_touches_only_what_was_given():
    shop = Shop(a_product(1, name="Tea", reserved=2))

    changed = shop.update(category_id=2, stock=5)

    assert (changed.name, changed.category.name, changed.stock, changed.version) == ("Tea", "Soap", 5, 2)
    assert shop.stocks.on_shelf[1] == Stock(7, 2)


def test_stock_is_not_written_over_what_was_sold_meanwhile():
    shop = Shop(a_product(1, on_hand=10))
    shop.reserve((1, 3))

    with pytest.raises(StaleVersion):
        shop.update(stock=10, description="Sold.", expected_version=1, seen_stock=10)
    assert (shop.get(1).stock, shop.get(1).version, shop.get(1).description) == (7, 1, a_product(1).description)
    assert shop.update(stock=10, expected_version=1, seen_stock=7).stock == 10


def test_a_sale_stands_in_nobodys_way_who_leaves_the_stock_alone():
    shop = Shop(a_product(1, on_hand=10))
    shop.reserve((1, 3))

    assert shop.update(description="Sold.", expected_version=1, seen_stock=10).version == 2


def test_a_change_of_nothing_is_not_announced():
    shop = Shop(a_product(1, name="Tea"))

    assert shop.update(name="Tea").version == 1
    assert shop.set_stock(10, expected=10).version == 1
    assert shop.events.changed == []


def test_a_currency_with_other_decimals_needs_a_new_price():
    shop = Shop(a_product(1, price="10.00"))

    with pytest.raises(InvalidRequest):
        shop.update(currency="JPY")

    assert shop.update(currency="JPY", price="1000").price == "1000"


def test_counting_stock_makes_a_version_since_the_product_shows_it():
    shop = Shop(a_product(1, on_hand=3))

    with pytest.raises(StaleVersion):
        shop.set_stock(5, expected=3, expected_version=2)
    assert shop.set_stock(5, expected=3, expected_version=1).version == 2
    assert shop.stocks.ledger == [(1, 2, Reason.COUNTED)]


def test_a_deleted_product_is_announced_in_its_last_version():
    shop = Shop(a_product(1, version=4))

    shop.delete()

    assert shop.events.changed == [(1, 5)]
    with pytest.raises(ProductNotFound):
        shop.delete()


def test_a_hold_ends_a_quarter_of_an_hour_later():
    reservation = Shop(a_product(1)).reserve((1, 2))

    assert reservation.expires_at == "2026-03-01T12:15:00.000000Z"


def test_the_same_reservation_again_is_the_first_one():
    shop = Shop(a_product(1))
    first = shop.reserve((1, 2))
    shop.at += timedelta(minutes=1)
    shop.update(price="99.00")

    assert shop.reserve((1, 2)) == first
    assert shop.stocks.on_shelf[1] == Stock(10, 2)


def test_an_expired_hold_is_taken_anew_at_its_first_price():
    shop = Shop(a_product(1, price="10.00"))
    shop.reserve((1, 2))
    shop.at += HOLD_TIME + timedelta(seconds=1)
    shop.expire()
    shop.update(price="99.00")

    again = shop.reserve((1, 2))

    assert again.lines[0].product.price == "10.00"
    assert again.expires_at == "2026-03-01T12:30:01.000000Z"


def test_an_expired_hold_whose_units_are_gone_is_out_of_stock():
    shop = Shop(a_product(1, on_hand=2))
    shop.reserve((1, 2))
    shop.at += HOLD_TIME + timedelta(seconds=1)
    shop.expire()
    shop.reserve((1, 1), order=ORDER[:-1] + "2")

    with pytest.raises(OutOfStock):
        shop.reserve((1, 2))
    with pytest.raises(ReservationLost) as refused:
        shop.confirm()

    assert refused.value.details["shortages"] == [{"product_id": 1, "wanted": 2, "available": 1}]


def test_a_search_that_finds_nothing_looks_for_likeness_and_stays_with_it_on_the_next_page():
    listings = FakeListings([a_product(1, name="Tea"), a_product(2, name="Toffee")])

    first = use_cases.list_products(catalog.ListProducts(q="Teh", limit=1), listings=listings, currency="EUR")
    second = use_cases.list_products(
        catalog.ListProducts(q="Teh", limit=1, cursor=first.next_cursor), listings=listings, currency="EUR"
    )

    assert [product.id for product in first.items + second.items] == [1, 2]
    assert second.next_cursor is None


def test_both_limits_of_a_price_are_judged_at_once():
    with pytest.raises(InvalidRequest) as refused:
        use_cases.list_products(
            catalog.ListProducts(min_price="1", max_price="2"), listings=FakeListings([]), currency="EUR"
        )

    detail = "An amount in EUR has exactly 2 decimals."
    assert refused.value.details["errors"] == [
        {"pointer": "/min_price", "detail": detail},
        {"pointer": "/max_price", "detail": detail},
    ]


def test_words_of_blanks_are_no_words():
    page = use_cases.list_products(catalog.ListProducts(q="  "), listings=FakeListings([a_product(1)]), currency="EUR")

    assert [product.id for product in page.items] == [1]


def test_a_last_page_has_no_next():
    listings = FakeListings([a_product(1), a_product(2)])

    page = use_cases.list_products(catalog.ListProducts(limit=2), listings=listings, currency="EUR")

    assert len(page.items) == 2
    assert page.next_cursor is None


def test_rows_that_cannot_be_accepted_never_reach_the_tables():
    imports = FakeImports()

    loaded = use_cases.load_products(
        catalog.LoadProducts(rows=[{"sku": "a"}]), imports=imports, events=FakeEvents(), clock=lambda: NOON
    )

    assert len(loaded.bad) == 1
    assert imports.rows == []


class Orders(RuleBasedStateMachine):
    """Three orders for two products, with every step at any time and any number of times."""

    def __init__(self):
        super().__init__()
        self.shop = Shop(a_product(1, on_hand=5), a_product(2, on_hand=3))

    orders = st.sampled_from([ORDER[:-1] + digit for digit in "123"])
    baskets = st.lists(st.tuples(st.sampled_from([1, 2]), st.integers(1, 3)), min_size=1, max_size=3)

    @rule(order=orders, basket=baskets)
    def reserve(self, order, basket):
        known = order in self.shop.holds.known
        try:
            self.shop.reserve(*basket, order=order)
        except OutOfStock:
            if not known:  # the transaction would have been rolled back
                del self.shop.holds.known[order]
        except ReservationLost:
            assert self.shop.holds.known[order].state is State.RELEASED

    @rule(order=orders)
    def confirm(self, order):
        try:
            self.shop.confirm(order)
        except Refusal as refusal:
            assert isinstance(refusal, ReservationLost)  # noqa: PT017  # hypothesis shows the steps either way

    @rule(order=orders)
    def release(self, order):
        self.shop.release(order)

    @rule()
    def wait_and_expire(self):
        self.shop.at += HOLD_TIME + timedelta(seconds=1)
        self.shop.expire()

    @invariant()
    def the_books_balance(self):
        for product_id, started_with in ((1, 5), (2, 3)):
            stock = self.shop.stocks.on_shelf[product_id]
            moved = sum(change for moved_id, change, _ in self.shop.stocks.ledger if moved_id == product_id)
            assert stock.on_hand == started_with + moved
            assert stock.reserved == self._units(product_id, State.HELD)
            assert started_with - stock.on_hand == self._units(product_id, State.SOLD)

    def _units(self, product_id, state):
        return sum(
            line.quantity
            for order, hold in self.shop.holds.known.items()
            if hold.state is state
            for line in self.shop.holds.lines(order)
            if line.product.id == product_id
        )


TestOrders = Orders.TestCase
TestOrders.settings = settings(max_examples=60, deadline=None)
