import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.contracts.catalog import OutOfStock, ProductNotFound, ReservationLost
from shared.contracts.refusals import InvalidRequest, Refusal
from tests.integration.catalog.shop import Shop, an_order


def all_at_once(*jobs):
    """Run them from one starting line; gives answers and refusals in the order of the jobs."""
    line = threading.Barrier(len(jobs))

    def run(job):
        line.wait()
        try:
            return job()
        except Refusal as refusal:
            return refusal

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


def test_of_fifty_buyers_of_the_last_unit_exactly_one_gets_it(shop):
    product = shop.a_product(stock=1)

    answers = all_at_once(*[lambda: shop.reserve(an_order(), (product.id, 1))] * 50)

    refused = [answer for answer in answers if isinstance(answer, OutOfStock)]
    assert len(refused) == 49
    assert refused[0].details == {"shortages": [{"product_id": product.id, "wanted": 1, "available": 0}]}
    assert shop.stock(product.id) == (1, 1)


def test_baskets_with_the_same_goods_in_opposite_order_never_block_each_other(shop):
    goods = [shop.a_product(stock=1000).id for _ in range(5)]
    there, back = [(each, 1) for each in goods], [(each, 1) for each in reversed(goods)]

    def buy_and_return(lines):
        for _ in range(5):
            order = an_order()
            shop.reserve(order, *lines)
            shop.confirm(order)
            shop.release(order)

    answers = all_at_once(*(lambda lines=lines: buy_and_return(lines) for lines in [there, back] * 10))

    assert answers == [None] * 20
    assert [shop.stock(each) for each in goods] == [(1000, 0)] * 5


def test_the_same_order_reserved_twenty_times_at_once_holds_once(shop):
    product, order = shop.a_product(stock=10), an_order()

    answers = all_at_once(*(lambda: shop.reserve(order, (product.id, 2)) for _ in range(20)))

    assert len({answer.expires_at for answer in answers}) == 1
    assert shop.stock(product.id) == (10, 2)


def test_every_short_line_is_named_and_nothing_is_held(shop):
    plenty, short, none = shop.a_product(stock=9), shop.a_product(stock=1), shop.a_product(stock=0)

    with pytest.raises(OutOfStock) as refused:
        shop.reserve(an_order(), (none.id, 1), (plenty.id, 9), (short.id, 2))

    assert refused.value.details["shortages"] == [
        {"product_id": short.id, "wanted": 2, "available": 1},
        {"product_id": none.id, "wanted": 1, "available": 0},
    ]
    assert shop.stock(plenty.id) == (9, 0)


def test_two_lines_of_one_product_are_one_demand(shop):
    product = shop.a_product(stock=3)

    with pytest.raises(OutOfStock) as refused:
        shop.reserve(an_order(), (product.id, 2), (product.id, 2))

    assert refused.value.details["shortages"] == [{"product_id": product.id, "wanted": 4, "available": 3}]


def test_every_unknown_product_is_named(shop):
    known, deleted = shop.a_product(), shop.a_product()
    shop.delete(deleted.id)

    with pytest.raises(ProductNotFound) as refused:
        shop.reserve(an_order(), (known.id, 1), (2**62, 1), (deleted.id, 1))

    assert refused.value.details == {"product_ids": [deleted.id, 2**62]}


def test_an_order_refused_for_want_of_stock_can_be_reserved_once_there_is_some(shop):
    product, order = shop.a_product(stock=0), an_order()
    with pytest.raises(OutOfStock):
        shop.reserve(order, (product.id, 1))
    shop.set_stock(product.id, 1, expected=0)

    shop.reserve(order, (product.id, 1))

    assert shop.stock(product.id) == (1, 1)


def test_a_repeated_reservation_gives_the_products_as_they_were(shop):
    product, order = shop.a_product(price="10.00"), an_order()
    first = shop.reserve(order, (product.id, 2))
    shop.update(product.id, price="12.00")
    shop.confirm(order)

    again = shop.reserve(order, (product.id, 2))

    assert again == first
    assert again.lines[0].product.price == "10.00"


def test_a_sale_leaves_the_store_and_is_written_up_once(shop):
    product, order = shop.a_product(stock=10), an_order()
    shop.reserve(order, (product.id, 3))

    shop.confirm(order)
    shop.confirm(order)

    assert shop.stock(product.id) == (7, 0)
    assert shop.ledger(product.id) == [("counted", 10), ("sold", -3)]


def test_what_was_sold_comes_back_once(shop):
    product, order = shop.a_product(stock=10), an_order()
    shop.reserve(order, (product.id, 3))
    shop.confirm(order)

    shop.release(order)
    shop.release(order)

    assert shop.stock(product.id) == (10, 0)
    assert shop.ledger(product.id) == [("counted", 10), ("sold", -3), ("returned", 3)]


def test_a_late_reservation_of_a_released_order_holds_nothing(shop):
    product, order = shop.a_product(stock=10), an_order()
    shop.release(order)

    with pytest.raises(ReservationLost):
        shop.reserve(order, (product.id, 1))

    assert shop.stock(product.id) == (10, 0)


def test_what_was_never_held_cannot_be_confirmed(shop):
    with pytest.raises(ReservationLost):
        shop.confirm(an_order())


def test_an_order_id_that_is_none_is_refused(shop):
    with pytest.raises(InvalidRequest):
        shop.release("x" * 36)


def test_an_overdue_hold_ends_once_though_many_sweep(shop):
    product = shop.a_product(stock=100)
    orders = [an_order() for _ in range(30)]
    for order in orders:
        shop.reserve(order, (product.id, 2))
    shop.wait(minutes=16)

    swept = all_at_once(*(shop.expire for _ in range(8)))

    assert sorted(order for batch in swept for order in batch if order in orders) == sorted(orders)
    assert shop.stock(product.id) == (100, 0)


def test_a_hold_lasts_fifteen_minutes(shop):
    product, order = shop.a_product(stock=1), an_order()
    shop.reserve(order, (product.id, 1))
    shop.wait(minutes=14, seconds=59)

    assert order not in shop.expire()


def test_an_expired_hold_is_sold_if_the_units_are_still_there(shop):
    product, order = shop.a_product(stock=1), an_order()
    shop.reserve(order, (product.id, 1))
    shop.wait(minutes=16)
    shop.expire()

    shop.confirm(order)

    assert shop.stock(product.id) == (0, 0)


def test_an_expired_hold_is_lost_once_its_units_are_somebody_elses(shop):
    product, order = shop.a_product(stock=1), an_order()
    shop.reserve(order, (product.id, 1))
    shop.wait(minutes=16)
    shop.expire()
    shop.reserve(an_order(), (product.id, 1))

    with pytest.raises(ReservationLost):
        shop.confirm(order)

    assert shop.stock(product.id) == (1, 1)


def test_confirming_racing_the_sweeper_and_a_cancellation_ends_in_one_state(shop):
    product = shop.a_product(stock=1000)
    orders = [an_order() for _ in range(20)]
    for order in orders:
        shop.reserve(order, (product.id, 1))
    shop.wait(minutes=16)

    jobs = [job for order in orders for job in (lambda o=order: shop.confirm(o), lambda o=order: shop.release(o))]
    all_at_once(shop.expire, *jobs, shop.expire)

    assert shop.stock(product.id) == (1000, 0)


STEPS = st.lists(st.sampled_from(["reserve", "confirm", "release", "expire"]), max_size=10)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_in_whatever_order_the_steps_come_and_are_repeated_one_order_has_one_effect(scope, steps):
    shop = Shop(scope)
    product, order, state = shop.a_product(stock=5), an_order(), "new"

    for step in steps:
        state = after(state, step)
        try:
            if step == "reserve":
                shop.reserve(order, (product.id, 2))
            elif step == "expire":
                shop.wait(minutes=16)
                shop.expire()
            else:
                getattr(shop, step)(order)
        except ReservationLost:
            pass

    expected = {"held": (5, 2), "sold": (3, 0)}.get(state, (5, 0))
    assert shop.stock(product.id) == expected
    assert shop.audit(after_order_id=order[:-1]).reservations.get(order, "new") == state


def after(state, step):
    """The model: released is final, confirming needs a hold that is or was, expiring one that is."""
    match step, state:
        case "release", _:
            return "released"
        case "reserve", "new" | "expired":
            return "held"
        case "confirm", "held" | "expired":
            return "sold"
        case "expire", "held":
            return "expired"
    return state
