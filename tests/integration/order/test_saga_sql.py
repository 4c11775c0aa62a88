"""The saga at its real desk: PostgreSQL, and the operation records of the real messaging."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import func, select

from rpc_services.order.desk import SqlDesk
from rpc_services.order.saga import LATELY
from rpc_services.order.storage import LEASE, SqlOrders
from rpc_services.order.tables import order_history, order_items, orders
from rpc_services.order.use_cases import Opening, checkout, resume_orders
from shared.contracts.cart import CartOrdered
from shared.contracts.catalog import OutOfStock
from shared.contracts.order import Checkout
from shared.contracts.refusals import KeyReused, OutcomeUnknown, StillRunning
from shared.messaging import operations
from shared.messaging.call import Call, serving
from shared.messaging.tables import outbox
from shared.values.identifiers import new_id, new_order_number
from tests.fakes.clock import FakeClock
from tests.fakes.orders import FakePayments, FakeStock, Faults, FaultyDesk, a_saga, an_order
from tests.unit.rpc_services.order.saga_behaviour import SagaBehaviour


class Shop:
    def __init__(self, scope):
        self.scope = scope
        self.faults, self.clock = Faults(), FakeClock()
        self.stock, self.payments = FakeStock(self.faults), FakePayments(self.faults)

    def saga(self, operation_id=None, fingerprint="f", *, redelivered=False):
        call = Call(
            request_id="r",
            method="order.place_order",
            operation_id=operation_id,
            fingerprint=fingerprint,
            redelivered=redelivered,
        )
        desk = FaultyDesk(SqlDesk(self.scope, call, clock=self.clock), self.faults)
        return a_saga(desk, self.stock, self.payments, clock=self.clock)

    def begin(self, order, fingerprint="f", *, redelivered=False, settled=()):
        return self.saga(order.operation_id, fingerprint, redelivered=redelivered).begin(order, settled=settled)

    def resume(self):
        return resume_orders(saga=self.saga(), most=5)

    def pass_time(self, span):
        self.clock.advance(span)

    def status(self, order):
        return self._one(select(orders.c.status).where(orders.c.id == order.id))

    def events(self, order):
        return self._one(select(func.count()).select_from(outbox).where(outbox.c.aggregate_id == order.id))

    def operation(self, order):
        with self.scope.reading() as session:
            return operations.find(session, order.operation_id).replay.give()

    def release_due(self, order):
        return self._one(select(orders.c.release_due).where(orders.c.id == order.id))

    def _one(self, query):
        with self.scope.reading() as session:
            return session.execute(query).scalar()


@pytest.fixture
def shop(scope):
    return Shop(scope)


class TestSagaWithSqlDesk(SagaBehaviour):
    @pytest.fixture
    def shop(self, scope):
        return Shop(scope)


def test_twenty_at_once_with_one_key_make_one_order(shop, engine):
    operation_id = "me/key"

    def place(_):
        try:
            answer = shop.begin(an_order((1, 2), operation_id=operation_id))
        except StillRunning:
            return None
        return answer["id"] if isinstance(answer, dict) else answer.id

    with ThreadPoolExecutor(20) as pool:
        ids = set(pool.map(place, range(20))) - {None}

    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(orders)).scalar() == 1
        assert connection.execute(select(func.count()).select_from(outbox)).scalar() == 1
    assert len(ids) == 1
    assert shop.stock.free[1] == 98


def test_twenty_sweepers_at_once_take_up_each_order_once(shop):
    lying = [an_order((1, 1), at=shop.clock()) for _ in range(5)]
    for order in lying:
        SqlDesk(shop.scope, Call(request_id="r", operation_id=order.operation_id), clock=shop.clock).open(order)
    shop.clock.advance(LEASE)

    def take(_):
        return SqlDesk(shop.scope, Call(request_id="r"), clock=shop.clock).take_up()

    with ThreadPoolExecutor(15) as pool:
        taken = [order.id for order in pool.map(take, range(20)) if order is not None]

    assert sorted(taken) == sorted(order.id for order in lying)


def left_pending(shop, *wanted):
    order = an_order(*wanted, at=shop.clock())
    SqlDesk(shop.scope, Call(request_id="r", operation_id=order.operation_id), clock=shop.clock).open(order)
    return order


def test_what_a_later_version_wrote_beside_an_order_is_passed_over(shop, engine):
    order = left_pending(shop, (1, 2))
    with engine.begin() as connection:
        connection.exec_driver_sql(
            """UPDATE orders SET terms = terms || '{"later": 1}', lines = jsonb_set(lines, '{0,later}', '1')"""
        )

    shop.pass_time(LEASE)
    shop.resume()

    assert (shop.status(order), shop.stock.free[1]) == ("confirmed", 98)


@pytest.mark.parametrize("spoilt", ["lines = '[{}]'", "terms = '7'", "payment_status = 'bartered'"])
def test_an_order_that_cannot_be_read_keeps_no_other_waiting(shop, engine, spoilt):
    unreadable = left_pending(shop)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE orders SET {spoilt}")
    shop.pass_time(timedelta(seconds=1))
    others = [left_pending(shop), left_pending(shop)]

    shop.pass_time(LEASE)
    shop.resume()

    assert {shop.status(order) for order in others} == {"confirmed"}
    assert shop.status(unreadable) == "pending"
    assert shop.resume() == 0


def of_a_cart(order, state="cart/4"):
    return replace(order, terms=replace(order.terms, from_cart=True, cart_state=state))


def ordered_at_once(shop, wanted):
    """Of eight that order a cart at once, those that were not refused; ``wanted(number)`` is an order."""

    def place(number):
        try:
            return shop.begin(wanted(number)).id
        except CartOrdered:
            return None

    with ThreadPoolExecutor(8) as pool:
        return [order_id for order_id in pool.map(place, range(8)) if order_id]


def test_a_state_of_a_cart_is_ordered_once_however_many_keys_ask_for_it_at_once(shop, engine):
    placed = ordered_at_once(shop, lambda number: of_a_cart(an_order((1, 2), operation_id=f"me/{number}")))

    assert len(placed) == 1
    assert shop.stock.free[1] == 98
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(orders)).scalar() == 1


def test_of_many_states_of_one_cart_that_are_ordered_at_once_one_is(shop):
    placed = ordered_at_once(shop, lambda number: of_a_cart(an_order((1, 2)), f"cart/{number}"))

    assert len(placed) == 1
    assert shop.stock.free[1] == 98


def checkouts(shop, user_id="me"):
    found = SqlDesk(shop.scope, Call(request_id="r"), clock=shop.clock).checkouts(user_id)
    return [order.id for order in found]


def is_under_way(shop, user_id="me"):
    try:
        checkouts(shop, user_id)
    except CartOrdered:
        return True
    return False


def test_what_was_ordered_from_a_cart_lately_is_told_but_not_what_was_refused(shop):
    shop.clock.moment = datetime.now(UTC)
    first = of_a_cart(an_order((1, 1)))
    shop.begin(first)
    shop.begin(an_order((1, 1)))
    shop.begin(of_a_cart(an_order((1, 1), user_id="another"), "another/4"))
    with pytest.raises(OutOfStock):
        shop.begin(of_a_cart(an_order((1, 10**6)), "cart/5"), settled={first.id})

    assert checkouts(shop) == [first.id]
    shop.pass_time(LATELY + timedelta(seconds=1))
    assert checkouts(shop) == []


def a_pending_checkout(shop):
    shop.faults.order("authorize", OutcomeUnknown())
    order = of_a_cart(an_order((1, 2)), "cart/1")
    with pytest.raises(OutcomeUnknown):
        shop.begin(order)
    return order


def test_a_checkout_that_is_under_way_keeps_the_next_waiting_however_old_it_is(shop):
    """The sweeper will confirm it yet: the changed cart, which still holds its goods, would order them twice."""
    shop.clock.moment = datetime.now(UTC)
    pending = a_pending_checkout(shop)

    shop.pass_time(LATELY * 5)
    with pytest.raises(CartOrdered):
        shop.begin(of_a_cart(an_order((1, 2), (2, 1)), "cart/2"))
    shop.resume()

    assert shop.status(pending) == "confirmed"
    assert shop.stock.free == {1: 98, 2: 100}


def test_a_checkout_that_is_under_way_is_told_whatever_was_ordered_since(shop):
    shop.clock.moment = datetime.now(UTC)
    settled = {a_pending_checkout(shop).id}
    for number in range(2, 7):
        shop.pass_time(LATELY)
        order = of_a_cart(an_order((1, 1)), f"cart/{number}")
        settled.add(shop.begin(order, settled=settled).id)

    assert is_under_way(shop)
    assert not is_under_way(shop, "another")


class Carts:
    """Of anybody: one that holds two of product 1, and has let go of all that was ordered from it."""

    def look(self, user_id):
        return SimpleNamespace(id=user_id, version=7, items=[SimpleNamespace(product_id=1, quantity=2)])

    def subtract(self, order):
        pass


def check_out(shop, user_id):
    request = Checkout(user_id=user_id, shipping_address=None, payment_token=None)
    operation_id = f"{user_id}/another key"
    opening = Opening(operation_id=operation_id, new_id=new_id, new_number=new_order_number, clock=shop.clock)
    return checkout(request, saga=shop.saga(operation_id), opening=opening, carts=Carts())


def test_a_checkout_that_nobody_can_read_keeps_its_own_buyer_waiting_and_no_other(shop, engine):
    unreadable = a_pending_checkout(shop)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE orders SET fulfilment_status = 'teleported'")

    with pytest.raises(CartOrdered):
        check_out(shop, "me")

    assert check_out(shop, "another").status == "confirmed"
    assert shop.status(unreadable) == "pending"


def test_a_checkout_that_was_confirmed_late_was_ordered_then(shop):
    """Its cart may not have heard of that yet, though the order's id is old."""
    shop.clock.moment = datetime.now(UTC)
    order = a_pending_checkout(shop)
    shop.pass_time(LATELY * 5)
    shop.resume()

    assert checkouts(shop) == [order.id]
    with pytest.raises(CartOrdered):
        shop.begin(of_a_cart(an_order((1, 2), (2, 1)), "cart/2"))
    shop.pass_time(LATELY + timedelta(seconds=1))
    assert checkouts(shop) == []


def test_an_old_checkout_that_is_cancelled_is_not_ordered_anew(shop):
    """Its cart may have forgotten it by now, and would let go of the same goods once more."""
    shop.clock.moment = datetime.now(UTC)
    order = a_pending_checkout(shop)
    shop.pass_time(LEASE)
    shop.resume()
    shop.pass_time(LATELY * 5)

    with shop.scope.writing() as session, serving(Call(request_id="r")):
        found = SqlOrders(session)
        found.cancel(*found.lock("me", order.id).cancelled(shop.clock(), actor="me"))

    assert checkouts(shop) == []


MANY_ORDERS = """
    INSERT INTO orders (id, number, user_id, operation_id, status, payment_status, fulfilment_status, lines, units,
                        terms, version, created_at, updated_at, resume_at)
    SELECT '0000-' || n, n, 'me', n, 'rejected', '', '', '[]', 1, '{}', 1, now(), now(), now()
    FROM generate_series(1, 5000) AS n"""


def test_checkouts_are_found_without_a_look_at_all_else_that_their_buyer_ordered(shop, engine):
    statement = SqlDesk(shop.scope, Call(request_id="r"), clock=shop.clock)._checkouts_of("me", orders.c.id)
    written = statement.compile(engine, compile_kwargs={"literal_binds": True})

    with engine.connect() as connection:
        connection.exec_driver_sql(MANY_ORDERS)
        connection.exec_driver_sql("ANALYZE orders")
        plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {written}").scalars())

    assert "ix_orders_belated" in plan
    assert re.search(r"Index Cond: .*\bid >= '", plan)
    assert "Seq Scan" not in plan


def test_only_the_last_few_are_told_however_many_there_were(shop):
    shop.clock.moment = datetime.now(UTC)
    placed = []
    for number in range(6):
        order = of_a_cart(an_order((1, 1)), f"cart/{number}")
        placed.append(shop.begin(order, settled=checkouts(shop)).id)

    assert checkouts(shop) == placed[:-4:-1]


def test_the_refusal_of_a_cart_that_was_ordered_is_remembered_under_its_key(shop):
    shop.begin(of_a_cart(an_order((1, 1))))
    late = of_a_cart(an_order((1, 1)))

    for _ in range(2):
        with pytest.raises(CartOrdered):
            shop.begin(late)
    with pytest.raises(CartOrdered):
        shop.operation(late)


def test_a_cart_whose_order_was_refused_can_be_ordered_as_it_is_and_so_can_its_next_state(shop):
    with pytest.raises(OutOfStock):
        shop.begin(of_a_cart(an_order((1, 10**6))))

    again = shop.begin(of_a_cart(an_order((1, 1))))
    changed = shop.begin(of_a_cart(an_order((1, 1)), "cart/5"), settled={again.id})

    assert again.id != changed.id


def test_the_same_key_for_another_request_is_refused(shop):
    order = an_order()
    shop.begin(order)

    with pytest.raises(KeyReused):
        shop.begin(an_order(operation_id=order.operation_id), fingerprint="another")


def test_an_operation_whose_record_was_swept_still_makes_no_second_order(shop, engine):
    order = an_order()
    shop.begin(order)
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM operations")

    with pytest.raises(KeyReused):
        shop.begin(an_order(operation_id=order.operation_id))

    assert shop.stock.free[1] == 98


def test_a_replayed_answer_is_marked_as_one(shop):
    order = an_order()
    shop.begin(order)
    call = Call(request_id="r", method="order.place_order", operation_id=order.operation_id, fingerprint="f")

    SqlDesk(shop.scope, call, clock=shop.clock).first_answer()

    assert call.marks.replayed


def test_prices_are_frozen_with_the_products_in_the_order_of_the_request(shop, engine):
    order = an_order((2, 1), (1, 3))

    shop.begin(order)

    with engine.connect() as connection:
        items = connection.execute(select(order_items).order_by(order_items.c.position)).all()
        history = connection.execute(select(order_history)).all()
    assert [(item.product_id, item.unit_price, item.product["name"]) for item in items] == [
        (2, 1000, "Thing 2"),
        (1, 250, "Thing 1"),
    ]
    assert [(step.axis, step.before, step.after) for step in history] == [
        ("order", "pending", "confirmed"),
        ("payment", "pending", "authorized"),
    ]


def test_an_order_without_an_operation_id_is_placed_all_the_same(shop):
    saga = shop.saga(operation_id=None)

    assert saga.begin(an_order()).status == "confirmed"
