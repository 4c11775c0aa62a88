from rpc_services.order.answers import show
from rpc_services.order.assembly import RemoteCarts, RemoteStock
from shared.contracts import cart, catalog
from tests.fakes.orders import a_confirmed_order


class FakeRemote:
    def __init__(self, answer=None):
        self.answer, self.calls = answer, []

    def call(self, method, request, *, operation_id=None):
        self.calls.append((method.name, request, operation_id))
        return self.answer


def test_every_step_of_an_order_has_one_operation_id_however_often_it_is_taken():
    order = a_confirmed_order((1, 2))
    remote = FakeRemote(catalog.Reservation(order_id=order.id, lines=[], expires_at=""))

    for _ in range(2):
        RemoteStock(remote).reserve(order)
        RemoteStock(remote).confirm(order)
        RemoteStock(remote).release(order)

    assert [operation_id for _, _, operation_id in remote.calls[:3]] == [
        f"order/{order.id}/reserve",
        f"order/{order.id}/confirm",
        f"order/{order.id}/release",
    ]
    assert remote.calls[:3] == remote.calls[3:]


def test_the_cart_is_told_just_what_was_ordered():
    order, remote = a_confirmed_order((1, 2), (2, 1)), FakeRemote()

    RemoteCarts(remote).subtract(show(order))

    lines = [catalog.Line(product_id=1, quantity=2), catalog.Line(product_id=2, quantity=1)]
    request = cart.SubtractItems(user_id="me", order_id=order.id, items=lines)
    assert remote.calls == [("subtract_items", request, f"order/{order.id}")]
