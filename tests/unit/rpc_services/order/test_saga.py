import pytest

from rpc_services.order.use_cases import resume_orders
from tests.fakes.clock import FakeClock
from tests.fakes.orders import FakeBook, FakeDesk, FakePayments, FakeStock, Faults, FaultyDesk, a_saga
from tests.unit.rpc_services.order.saga_behaviour import SagaBehaviour


class Shop:
    def __init__(self):
        self.faults, self.clock, self.book = Faults(), FakeClock(), FakeBook()
        self.stock, self.payments = FakeStock(self.faults), FakePayments(self.faults)

    def saga(self, operation_id=None, *, redelivered=False):
        desk = FakeDesk(self.book, operation_id, clock=self.clock, redelivered=redelivered)
        desk = FaultyDesk(desk, self.faults)
        return a_saga(desk, self.stock, self.payments, clock=self.clock)

    def begin(self, order, *, redelivered=False):
        return self.saga(order.operation_id, redelivered=redelivered).begin(order)

    def resume(self):
        return resume_orders(saga=self.saga(), most=5)

    def pass_time(self, span):
        self.clock.advance(span)

    def status(self, order):
        found = self.book.orders.get(order.id)
        return found and found.status.value

    def events(self, order):
        return self.book.events.count(order.id)

    def operation(self, order):
        return self.book.operations[order.operation_id]

    def release_due(self, order):
        return self.book.orders[order.id].release_due


class TestSagaWithFakeDesk(SagaBehaviour):
    @pytest.fixture
    def shop(self):
        return Shop()
