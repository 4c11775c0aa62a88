import pytest
from msgspec import to_builtins

from rpc_services.cart.pricing import EMPTY
from rpc_services.order import use_cases
from rpc_services.order.payments import NoPayments
from rpc_services.order.use_cases import Opening
from shared.contracts import order as contract
from shared.contracts.cart import CartEmpty, CartItem, CartOrdered
from shared.contracts.catalog import Line
from shared.contracts.refusals import (
    Internal,
    InvalidRequest,
    OutcomeUnknown,
    StaleVersion,
    StillRunning,
    Unavailable,
)
from shared.values.identifiers import new_id, new_order_number
from tests.fakes.orders import START, FakeBook, FakeDesk, FakeStock, a_saga


def a_cart(version=4, **quantities):
    items = [
        CartItem(
            product_id=int(name[1:]),
            name="",
            image="",
            quantity=quantity,
            unit_price="1.00",
            current_price=None,
            line_total="1.00",
            available=True,
        )
        for name, quantity in quantities.items()
    ]
    return type(EMPTY)(
        **{**{name: getattr(EMPTY, name) for name in EMPTY.__struct_fields__}, "items": items}
        | {"id": "cart", "version": version}
    )


class FakeCarts:
    """The one cart of "me", which lets go of each order once."""

    def __init__(self, cart):
        self.cart, self.subtracted, self.fault = cart, [], None
        self.when_looked_at = lambda: None

    def add(self, **quantities):
        held = {f"p{item.product_id}": item.quantity for item in self.cart.items}
        more = {name: held.get(name, 0) + quantity for name, quantity in quantities.items()}
        self.cart = a_cart(self.cart.version + 1, **held | more)

    def look(self, user_id):
        assert user_id == "me"
        self.when_looked_at()
        return self.cart

    def subtract(self, order):
        if self.fault:
            raise self.fault
        taken = (order.id, [(item.product.id, item.quantity) for item in order.items])
        if taken not in self.subtracted:
            self.subtracted.append(taken)
            left = {f"p{item.product_id}": item.quantity for item in self.cart.items}
            for product_id, quantity in taken[1]:
                left[f"p{product_id}"] = max(left.get(f"p{product_id}", 0) - quantity, 0)
            self.cart = a_cart(self.cart.version + 1, **{name: some for name, some in left.items() if some})


@pytest.fixture
def book():
    return FakeBook()


@pytest.fixture
def stock():
    return FakeStock()


@pytest.fixture
def carts():
    return FakeCarts(a_cart(p1=2, p2=1))


@pytest.fixture
def checkout(book, stock, carts):
    def checkout(operation_id="me/key", *, redelivered=False, **fields):
        saga = a_saga(FakeDesk(book, operation_id, redelivered=redelivered), stock, NoPayments())
        opening = Opening(operation_id=operation_id, new_id=new_id, new_number=new_order_number, clock=lambda: START)
        return use_cases.checkout(contract.Checkout(user_id="me", **fields), saga=saga, opening=opening, carts=carts)

    return checkout


def test_what_the_cart_holds_is_ordered_and_taken_out_of_it(checkout, carts, book):
    placed = checkout()

    assert [(item.product.id, item.quantity) for item in placed.items] == [(1, 2), (2, 1)]
    assert carts.subtracted == [(placed.id, [(1, 2), (2, 1)])]
    assert book.orders[placed.id].terms.from_cart
    assert book.orders[placed.id].terms.cart_state == "cart/4"


def test_a_repeated_checkout_gives_the_first_answer_though_the_cart_is_empty_by_now(checkout, book):
    first = checkout()

    again = checkout()

    assert again == to_builtins(first)
    assert len(book.orders) == 1


def test_a_checkout_that_sees_the_cart_emptied_by_its_own_first_run_gives_that_answer(checkout, carts, book):
    placed = []

    def first_run_ends():
        carts.when_looked_at = lambda: None
        placed.append(checkout())

    carts.when_looked_at = first_run_ends

    assert checkout() == to_builtins(placed[0])
    assert len(book.orders) == 1


def test_an_empty_cart_orders_nothing(checkout, carts, book):
    carts.cart = EMPTY

    with pytest.raises(CartEmpty):
        checkout()

    assert book.orders == {}


def test_a_cart_at_another_version_orders_nothing(checkout, book):
    with pytest.raises(StaleVersion) as refusal:
        checkout(expected_version=3)

    assert refusal.value.details == {"version": 4}
    assert book.orders == {}


def test_the_version_that_was_looked_at_is_ordered(checkout):
    assert checkout(expected_version=4).status == "confirmed"


@pytest.mark.parametrize("fault", [Unavailable(retry_after=1), Internal(), RuntimeError("its own fault")])
def test_a_cart_that_fails_afterwards_does_not_undo_the_order(checkout, carts, fault):
    carts.fault = fault

    assert checkout().status == "confirmed"


def units_of(order):
    return [(item.product.id, item.quantity) for item in order.items]


def test_what_another_checkout_has_not_taken_out_yet_is_taken_out_first_and_not_ordered_again(checkout, carts):
    carts.fault = Unavailable(retry_after=1)
    first = checkout("me/first")
    carts.fault = None
    carts.add(p2=4)

    second = checkout("me/second")

    assert (units_of(first), units_of(second)) == ([(1, 2), (2, 1)], [(2, 4)])
    assert carts.cart.items == []


def test_nothing_is_ordered_while_the_cart_cannot_let_go_of_what_was(checkout, carts, book):
    carts.fault = OutcomeUnknown()
    checkout("me/first")
    carts.add(p2=4)

    with pytest.raises(Unavailable):
        checkout("me/second")
    assert len(book.orders) == 1


def test_nothing_is_ordered_while_another_checkout_is_under_way(checkout, carts, stock, book):
    stock.faults.order("reserve", OutcomeUnknown(), when="after")
    with pytest.raises(OutcomeUnknown):
        checkout("me/first")
    carts.add(p2=4)

    with pytest.raises(CartOrdered):
        checkout("me/second")
    assert len(book.orders) == 1


def test_two_that_look_at_the_cart_at_once_do_not_both_order_what_it_holds(checkout, carts, book):
    def another_window_orders():
        carts.when_looked_at = lambda: None
        looked_at = carts.cart
        checkout("me/first")
        carts.cart = looked_at

    carts.when_looked_at = another_window_orders

    with pytest.raises(CartOrdered):
        checkout("me/second")
    assert len(book.orders) == 1


def test_a_checkout_that_is_still_running_is_not_begun_again(checkout, book):
    book.operations["me/key"] = None

    with pytest.raises(StillRunning):
        checkout()


def test_a_checkout_that_the_broker_brings_again_carries_its_order_on_and_asks_no_cart(checkout, stock, carts, book):
    class Crash(BaseException):
        pass

    stock.faults.order("reserve", Crash(), when="after")
    with pytest.raises(Crash):
        checkout()
    carts.cart = EMPTY

    assert checkout(redelivered=True).status == "confirmed"
    assert len(book.orders) == 1


def test_a_token_without_a_provider_begins_nothing(checkout, book):
    with pytest.raises(InvalidRequest):
        checkout(payment_token="tok_approve")

    assert (book.orders, book.operations) == ({}, {})


def test_an_order_placed_directly_leaves_the_cart_alone(book, stock, carts):
    request = contract.PlaceOrder(user_id="me", items=[Line(product_id=1, quantity=1), Line(product_id=1, quantity=2)])
    opening = Opening(operation_id=None, new_id=new_id, new_number=new_order_number, clock=lambda: START)

    placed = use_cases.place_order(request, saga=a_saga(FakeDesk(book), stock, NoPayments()), opening=opening)

    assert [(item.quantity, item.line_total) for item in placed.items] == [(3, "7.50")]
    assert not book.orders[placed.id].terms.from_cart
