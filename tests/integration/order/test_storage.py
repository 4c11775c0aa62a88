"""What buyers and auditors read of orders, from PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, inspect, select
from sqlalchemy.exc import IntegrityError

from rpc_services.order import use_cases
from rpc_services.order.desk import SqlDesk
from rpc_services.order.storage import SqlBooks, SqlOrders
from rpc_services.order.tables import metadata
from shared.contracts import order as contract
from shared.contracts.events import ORDER_CANCELLED
from shared.contracts.order import InvalidTransition, OrderNotFound
from shared.contracts.refusals import InvalidRequest
from shared.messaging.call import Call, serving
from shared.messaging.tables import outbox
from shared.values.identifiers import new_id
from tests.fakes.clock import FakeClock
from tests.fakes.orders import START, FakePayments, FakeStock, a_saga, an_order


@pytest.fixture
def place(scope):
    def place(*wanted, **fields):
        order = an_order(*wanted, **fields)
        call = Call(request_id="r", method="order.place_order", operation_id=order.operation_id)
        return a_saga(SqlDesk(scope, call, clock=FakeClock()), FakeStock(), FakePayments()).begin(order)

    return place


@pytest.fixture
def lying(scope):
    """An order that was begun and never finished."""
    order = an_order()
    SqlDesk(scope, Call(request_id="r", operation_id=order.operation_id), clock=FakeClock()).open(order)
    return order


@pytest.fixture
def ask(scope):
    def ask(use_case, request):
        with scope.reading() as session:
            return use_case(request, orders=SqlOrders(session))

    return ask


def cancel(scope, order_id, *, operation_id, user_id="me"):
    request = contract.CancelOrder(user_id=user_id, order_id=order_id)
    with serving(Call(request_id="r", method="order.cancel_order", operation_id=operation_id)):
        return scope.once(
            lambda session: use_cases.cancel_order(request, orders=SqlOrders(session), clock=lambda: START)
        )


def test_an_order_is_read_as_it_was_answered(place, ask):
    placed = place((2, 1), (1, 3))

    assert ask(use_cases.get_order, contract.GetOrder(user_id="me", order_id=placed.id)) == placed


@pytest.mark.parametrize("order_id", ["", "x", "\x00", "a" * 64])
def test_what_is_no_order_is_not_found(ask, order_id):
    with pytest.raises(OrderNotFound):
        ask(use_cases.get_order, contract.GetOrder(user_id="me", order_id=order_id))


def test_a_stranger_s_order_is_not_found(place, ask, scope):
    placed = place()

    with pytest.raises(OrderNotFound):
        ask(use_cases.get_order, contract.GetOrder(user_id="a stranger", order_id=placed.id))
    with pytest.raises(OrderNotFound):
        ask(use_cases.get_order_history, contract.GetOrderHistory(user_id="a stranger", order_id=placed.id))
    with pytest.raises(OrderNotFound):
        cancel(scope, placed.id, operation_id="o", user_id="a stranger")
    assert ask(use_cases.get_orders, contract.GetOrders(user_id="a stranger", order_ids=[placed.id])) == []


def test_an_order_that_was_never_acknowledged_is_not_shown(lying, ask):
    with pytest.raises(OrderNotFound):
        ask(use_cases.get_order, contract.GetOrder(user_id="me", order_id=lying.id))
    assert ask(use_cases.list_orders, contract.ListOrders(user_id="me")).items == []


def test_many_orders_come_in_the_order_they_were_asked_for(place, ask):
    one, other = place(), place()

    found = ask(use_cases.get_orders, contract.GetOrders(user_id="me", order_ids=[other.id, "x", one.id, other.id]))

    assert [order.id for order in found] == [other.id, one.id]


def test_pages_neither_skip_nor_repeat_while_orders_come_in(place, ask):
    placed = [place().id for _ in range(7)]
    seen, cursor = [], None

    while True:
        page = ask(use_cases.list_orders, contract.ListOrders(user_id="me", limit=3, cursor=cursor))
        seen += [order.id for order in page.items]
        place()
        cursor = page.next_cursor
        if cursor is None:
            break

    assert seen == placed[::-1]


def test_a_cursor_that_nobody_wrote_is_refused(ask):
    with pytest.raises(InvalidRequest):
        ask(use_cases.list_orders, contract.ListOrders(user_id="me", cursor="nonsense"))


def test_cancelling_is_written_in_row_history_and_event(place, ask, scope, engine):
    placed = place()

    cancelled = cancel(scope, placed.id, operation_id="c1")

    assert (cancelled.status, cancelled.payment_status) == ("cancelled", "voided")
    history = ask(use_cases.get_order_history, contract.GetOrderHistory(user_id="me", order_id=placed.id))
    assert [(step.axis, step.after) for step in history] == [
        ("order", "confirmed"),
        ("payment", "authorized"),
        ("order", "cancelled"),
        ("payment", "voided"),
    ]
    with engine.connect() as connection:
        events = connection.execute(
            select(outbox.c.type, outbox.c.sequence).where(outbox.c.aggregate_id == placed.id).order_by(outbox.c.id)
        ).all()
    assert [tuple(event) for event in events] == [("order.placed", 1), ("order.cancelled", 2)]


def test_cancelling_again_is_refused_unless_it_is_the_same_operation(place, scope):
    placed = place()
    first = cancel(scope, placed.id, operation_id="c1")

    assert cancel(scope, placed.id, operation_id="c1")["updated_at"] == first.updated_at
    with pytest.raises(InvalidTransition) as refusal:
        cancel(scope, placed.id, operation_id="c2")
    assert refusal.value.details["status"] == "cancelled"


def test_ten_who_cancel_at_once_make_one_event(place, scope, engine):
    placed = place()

    def attempt(number):
        try:
            cancel(scope, placed.id, operation_id=f"c{number}")
        except InvalidTransition:
            return 0
        return 1

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(attempt, range(10))) == 1

    with engine.connect() as connection:
        count = select(func.count()).select_from(outbox).where(outbox.c.type == ORDER_CANCELLED.name)
        assert connection.execute(count).scalar() == 1


def test_an_order_that_lies_pending_cannot_be_cancelled(lying, scope):
    with pytest.raises(OrderNotFound):
        cancel(scope, lying.id, operation_id="c1")


def test_an_audit_pages_through_orders_of_every_state(place, lying, scope):
    placed = [place((1, 3), (2, 2)) for _ in range(3)]

    def look(after, limit):
        with scope.reading() as session:
            books = SqlBooks(session, clock=lambda: START + timedelta(seconds=60))
            return use_cases.audit_orders(contract.AuditOrders(after_order_id=after, limit=limit), books=books)

    first = look("", 2)
    second = look(first.orders[-1].id, 100)

    seen = [*first.orders, *second.orders]
    assert [(order.id, order.status, order.units) for order in seen] == [
        (lying.id, "pending", 2),
        *((order.id, "confirmed", 5) for order in placed),
    ]
    assert seen[1].age_seconds == 60
    assert (first.duplicates, first.oldest_outbox_seconds > 0) == ([], True)


def test_the_database_itself_allows_an_operation_one_order(place, engine):
    place()
    place()

    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.exec_driver_sql("UPDATE orders SET operation_id = 'the same'")


def test_the_database_itself_refuses_totals_that_do_not_add_up(place, engine):
    place()

    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.exec_driver_sql("UPDATE orders SET total = total + 1")


def test_the_migration_makes_the_tables_that_the_code_expects(engine):
    seen = inspect(engine)

    for table in metadata.tables.values():
        assert {column["name"] for column in seen.get_columns(table.name)} == set(table.columns.keys())
        assert {index.name for index in table.indexes} <= {index["name"] for index in seen.get_indexes(table.name)}


def test_an_order_id_of_nobody_is_not_found(ask):
    with pytest.raises(OrderNotFound):
        ask(use_cases.get_order, contract.GetOrder(user_id="me", order_id=new_id()))
