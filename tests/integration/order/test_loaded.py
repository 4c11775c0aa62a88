"""Orders that many ask for at once, one each, and each only for his own."""

from rpc_services.order import use_cases
from rpc_services.order.desk import SqlDesk
from rpc_services.order.storage import LoadedOrders, SqlOrders, rows_of
from shared.contracts.order import GetOrder, OrderNotFound
from shared.messaging.call import Call
from shared.values.identifiers import new_id
from tests.builders.together import loading, together
from tests.fakes.clock import FakeClock
from tests.fakes.orders import FakePayments, FakeStock, a_saga, an_order


def placed(scope, user_id):
    order = an_order(user_id=user_id)
    call = Call(request_id="r", method="order.place_order", operation_id=order.operation_id)
    return a_saga(SqlDesk(scope, call, clock=FakeClock()), FakeStock(), FakePayments()).begin(order)


def asked(load, *pairs):
    return together(
        lambda pair: use_cases.get_order(GetOrder(user_id=pair[0], order_id=pair[1]), orders=LoadedOrders(load)), *pairs
    )


def test_many_orders_of_many_buyers_are_read_at_once(scope):
    mine = [(user, placed(scope, user).id) for user in ("ada", "bob", "eve") for _ in range(5)]

    with loading(scope, rows_of) as (load, statements):
        found = asked(load, *mine)

    with scope.reading() as session:
        alone = [
            use_cases.get_order(GetOrder(user_id=user, order_id=order_id), orders=SqlOrders(session))
            for user, order_id in mine
        ]
    assert found == alone
    assert len(statements) == 2  # orders, and their items


def test_who_asks_together_with_the_owner_still_sees_nothing(scope):
    order_id = placed(scope, "ada").id

    with loading(scope, rows_of) as (load, _):
        own, foreign, unknown = asked(load, ("ada", order_id), ("eve", order_id), ("eve", new_id()))

    assert own.id == order_id
    assert isinstance(foreign, OrderNotFound)
    assert isinstance(unknown, OrderNotFound)


def test_an_order_that_lies_pending_is_not_loaded(scope):
    order = an_order(user_id="ada")
    SqlDesk(scope, Call(request_id="r", operation_id=order.operation_id), clock=FakeClock()).open(order)

    with loading(scope, rows_of) as (load, _):
        (refused,) = asked(load, ("ada", order.id))

    assert isinstance(refused, OrderNotFound)
