import pytest

from rpc_services.cart import use_cases
from rpc_services.cart.domain import Operation
from shared.contracts import cart
from shared.contracts.catalog import Line, ProductNotFound
from shared.contracts.refusals import DeadlinePassed, Internal, KeyReused, OutcomeUnknown, StaleVersion, Unavailable
from tests.fakes.carts import FakeCarts, FakeProducts, a_product

TOKEN = "t" * 43


@pytest.fixture
def carts():
    return FakeCarts()


@pytest.fixture
def products():
    return FakeProducts(a_product(1), a_product(2, price="10.00"))


@pytest.fixture
def shop(carts, products):
    return Shop(carts, products)


class Shop:
    def __init__(self, carts, products):
        self.carts, self.products = carts, products

    def add(self, product_id=1, quantity=1, operation=None, **owner):
        request = cart.AddItem(product_id=product_id, quantity=quantity, **owner)
        return use_cases.add_item(
            request, carts=self.carts, products=self.products, operation=operation, new_token=lambda: TOKEN
        )

    def get(self, **owner):
        return use_cases.get_cart(cart.GetCart(**owner), carts=self.carts, products=self.products)

    def merge(self, user_id="me", cart_token=TOKEN):
        request = cart.MergeCarts(user_id=user_id, cart_token=cart_token)
        return use_cases.merge_carts(request, carts=self.carts, products=self.products)


def test_a_user_without_a_cart_has_an_empty_one(shop):
    assert shop.get(user_id="me").version == 0


def test_somebody_unknown_looks_into_an_empty_cart(shop):
    assert shop.get().items == []


def test_a_token_nobody_gave_out_finds_no_cart(shop):
    with pytest.raises(cart.CartNotFound):
        shop.get(cart_token=TOKEN)
    with pytest.raises(cart.CartNotFound):
        shop.add(cart_token=TOKEN)


def test_a_guest_is_told_the_token_in_the_first_answer_only(shop):
    first = shop.add()

    second = shop.add(cart_token=TOKEN)

    assert (first.cart_token, second.cart_token) == (TOKEN, None)
    assert second.items[0].quantity == 2


def test_a_repeated_first_write_opens_one_cart_and_adds_once(shop):
    tokens = iter(["a" * 43, "b" * 43])

    def add():
        return use_cases.add_item(
            cart.AddItem(product_id=1, quantity=1),
            carts=shop.carts,
            products=shop.products,
            operation=Operation(id="guest/key"),
            new_token=lambda: next(tokens),
        )

    first, second = add(), add()

    assert first == second
    assert second.cart_token == "a" * 43


def test_an_unknown_product_is_not_added(shop):
    with pytest.raises(ProductNotFound) as refusal:
        shop.add(404, user_id="me")

    assert refusal.value.details == {"product_ids": [404]}
    assert shop.get(user_id="me").version == 0


@pytest.mark.parametrize("owner", [{"user_id": "me"}, {}], ids=["a user", "a new guest"])
def test_what_was_added_is_no_less_in_the_cart_because_it_is_sold_no_more(shop, products, owner):
    operation = Operation(id="key", fingerprint="f")
    first = shop.add(operation=operation, **owner)
    del products.products[1]

    again = shop.add(operation=operation, **owner)

    assert [(item.product_id, item.quantity, item.current_price) for item in again.items] == [(1, 1, None)]
    assert (again.version, again.cart_token) == (first.version, first.cart_token)
    with pytest.raises(ProductNotFound):
        shop.add(operation=Operation(id="another", fingerprint="f"), **owner)
    with pytest.raises(ProductNotFound):
        shop.add(**owner)


def test_another_request_under_the_key_of_what_was_added_is_refused(shop):
    shop.add(user_id="me", operation=Operation(id="key", fingerprint="f"))

    with pytest.raises(KeyReused):
        shop.add(404, user_id="me", operation=Operation(id="key", fingerprint="another"))


FAULTS = [Unavailable(retry_after=1), OutcomeUnknown(), DeadlinePassed(), Internal()]


@pytest.mark.parametrize("fault", FAULTS)
def test_what_was_added_is_told_as_done_though_the_catalogue_does_not_answer_its_repetition(shop, products, fault):
    operation = Operation(id="key", fingerprint="f")
    shop.add(user_id="me", operation=operation)
    products.fault = fault

    assert shop.add(user_id="me", operation=operation).item_count == 1


def test_nothing_is_added_while_the_catalogue_is_away(shop, products):
    products.fault = Unavailable(retry_after=1)

    with pytest.raises(Unavailable):
        shop.add(user_id="me")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_cart_is_shown_with_the_prices_seen_while_the_catalogue_does_not_tell_them(shop, products, fault):
    shop.add(quantity=2, user_id="me")
    products.fault = fault

    shown = shop.get(user_id="me")

    (item,) = shown.items
    assert (item.unit_price, item.current_price, item.line_total, shown.subtotal) == ("2.50", None, "5.00", "5.00")
    assert [warning["code"] for warning in shown.warnings] == ["service.unavailable"]


def test_a_change_is_told_as_done_though_the_catalogue_breaks(shop, products):
    shop.add(1, 3, user_id="me")
    shop.add(2, user_id="me")
    shop.add(2, 7)
    products.fault = Internal()
    where = {"carts": shop.carts, "products": products}

    changed = use_cases.set_item(cart.SetItem(user_id="me", product_id=1, quantity=5), operation=None, **where)
    removed = use_cases.remove_item(cart.RemoveItem(user_id="me", product_id=1), operation=None, **where)
    merged = shop.merge()
    cleared = use_cases.clear_cart(cart.ClearCart(user_id="me"), operation=None, **where)

    assert [[(item.product_id, item.quantity) for item in each.items] for each in (changed, removed, merged)] == [
        [(1, 5), (2, 1)],
        [(2, 1)],
        [(2, 7)],
    ]
    assert {warning["code"] for warning in merged.warnings} == {"service.unavailable"}
    assert cleared.items == []


def test_an_add_asks_the_catalogue_once_for_the_whole_cart(shop, products):
    shop.add(1, user_id="me")
    shop.add(2, user_id="me")

    assert products.questions == [[1], [1, 2]]


def test_a_user_s_token_is_not_needed_nor_looked_at(shop):
    shop.add(user_id="me")

    assert shop.get(user_id="me", cart_token=TOKEN).item_count == 1


@pytest.mark.parametrize("expected", [None, 0])
def test_clearing_a_cart_that_was_never_used_is_no_error(shop, expected):
    request = cart.ClearCart(user_id="me", expected_version=expected)

    shown = use_cases.clear_cart(request, carts=shop.carts, products=shop.products, operation=None)

    assert shown.version == 0


def test_editing_a_version_that_never_was_is_refused(shop):
    request = cart.SetItem(user_id="me", product_id=1, quantity=1, expected_version=7)

    with pytest.raises(StaleVersion):
        use_cases.set_item(request, carts=shop.carts, products=shop.products, operation=None)


def test_removing_from_an_empty_cart_finds_no_item(shop):
    request = cart.RemoveItem(user_id="me", product_id=1)

    with pytest.raises(cart.ItemNotFound):
        use_cases.remove_item(request, carts=shop.carts, products=shop.products, operation=None)


def test_a_guest_without_a_token_has_nothing_to_edit(shop):
    with pytest.raises(cart.CartNotFound):
        use_cases.clear_cart(cart.ClearCart(), carts=shop.carts, products=shop.products, operation=None)


def test_a_guest_cart_merges_into_the_user_s_and_a_second_merge_changes_nothing(shop):
    shop.add(1, 3)
    shop.add(1, 1, user_id="me")

    first, second = shop.merge(), shop.merge()

    assert first.items[0].quantity == 3
    assert (second.version, second.items) == (first.version, first.items)


def test_a_guests_cart_that_went_into_an_account_is_shown_to_nobody_any_more(shop):
    shop.add(1, 3)
    shop.merge()

    with pytest.raises(cart.CartClosed):
        shop.get(cart_token=TOKEN)


def test_a_stranger_cannot_merge_a_cart_that_was_already_merged(shop):
    shop.add()
    shop.merge("me")

    with pytest.raises(cart.CartClosed):
        shop.merge("a stranger")


def test_a_merge_of_an_unknown_token_changes_nothing(shop):
    with pytest.raises(cart.CartNotFound):
        shop.merge()


def test_what_was_ordered_leaves_the_cart(shop):
    shop.add(1, 3, user_id="me")

    use_cases.subtract_items("me", "o1", [Line(product_id=1, quantity=2)], carts=shop.carts)

    assert shop.get(user_id="me").items[0].quantity == 1
