"""Pages of orders are bounded by their size, too: an answer that is too large would never reach its buyer."""

import msgspec

from rpc_services.order import use_cases
from rpc_services.order.domain import PaymentStatus
from shared.contracts import order as contract
from shared.contracts.catalog import Category, Description, ReservedLine
from shared.contracts.checking import fits
from shared.contracts.goods import Image, Name, Sku
from shared.nameko_ext.replies import LARGEST_ANSWER
from tests.fakes.carts import a_product
from tests.fakes.orders import START, an_order

MOST_LINES = 200


class FakeOrders:
    """Orders of one buyer, given oldest first."""

    def __init__(self, *orders):
        self.orders = sorted(orders, key=lambda each: each.id, reverse=True)

    def page(self, user_id, before, limit):
        assert user_id == "me"
        return [each for each in self.orders if before is None or each.id < before][:limit]


def a_large_order(lines, **product):
    order = an_order(*((number, 1) for number in range(1, lines + 1)))
    reserved = [ReservedLine(product=a_product(each.product_id, **product), quantity=1) for each in order.items]
    return order.priced(reserved).confirmed(PaymentStatus.PENDING, START)[0]


def size_of(answer):
    return len(msgspec.json.encode(answer))


def pages_of(orders, limit):
    cursor = None
    while True:
        page = use_cases.list_orders(
            contract.ListOrders(user_id="me", limit=limit, cursor=cursor), orders=FakeOrders(*orders)
        )
        yield page
        if (cursor := page.next_cursor) is None:
            return


def test_a_page_of_large_orders_ends_before_it_is_too_large_and_the_next_goes_on_there():
    orders = [a_large_order(30, description="x" * 2500) for _ in range(50)]

    pages = list(pages_of(orders, limit=100))

    assert [each.id for page in pages for each in page.items] == sorted((each.id for each in orders), reverse=True)
    assert len(pages) > 1
    assert max(map(size_of, pages)) < LARGEST_ANSWER


def test_an_order_that_is_larger_than_a_page_should_be_has_a_page_of_its_own():
    orders = [a_large_order(MOST_LINES, description="\u0915" * 4000) for _ in range(2)]

    pages = list(pages_of(orders, limit=100))

    assert [len(page.items) for page in pages] == [1, 1]
    assert min(map(size_of, pages)) > use_cases.LARGEST_PAGE_BYTES


def test_the_most_lines_of_the_largest_products_are_one_answer():
    letter = "\U0001f35a"
    largest = {"description": letter * 2500, "name": letter * 200, "image": "/" + "\x01" * 499, "sku": "x" * 64}
    for text, kind in zip(largest.values(), (Description, Name, Image, Sku), strict=True):
        assert fits(text, kind)
    assert not fits(letter * 2501, Description)
    assert not fits("\x01", Description)
    assert fits("Long grain.\r\n\tGood.", Description)
    category = Category(id=2**31 - 1, name=letter * 200, description="")

    order = a_large_order(MOST_LINES, category=category, price="9" * 12 + ".99", stock=10**9, **largest)
    (page,) = pages_of([order], limit=20)

    assert size_of(page) < LARGEST_ANSWER
