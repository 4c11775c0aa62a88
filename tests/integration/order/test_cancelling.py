"""The money of a cancelled order: let go once the cancellation is committed, never before, and whatever dies then."""

import time
from datetime import timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from rpc_services.order.desk import SqlDesk
from rpc_services.order.service import Service
from rpc_services.order.storage import LEASE
from rpc_services.order.tables import orders
from rpc_services.order.use_cases import resume_orders
from shared.contracts import order as contract
from shared.contracts.refusals import DeadlinePassed, Refusal, Unavailable
from shared.messaging.call import Call, current, serving
from shared.messaging.transactions import Scope
from shared.resilience.deadline import Deadline
from shared.values.identifiers import new_id
from shared.values.times import now
from tests.fakes.orders import FakePayments, FakeStock, Faults, a_saga, an_order

REFUSING = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not committed'; END $$;
CREATE CONSTRAINT TRIGGER at_commit AFTER UPDATE ON orders DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION refuse()
"""


class Crash(BaseException):
    """The process is gone."""


class Late(Scope):
    """Where the deadline passes when all is written, just before COMMIT."""

    def once(self, work):
        def late(session):
            answer = work(session)
            while not current().deadline.has_passed():
                time.sleep(0.05)
            return answer

        return super().once(late)


class Shop:
    """The door of the order service, with a provider of payments that is watched."""

    def __init__(self, scope):
        self.scope, self.faults = scope, Faults()
        self.stock, self.payments = FakeStock(), FakePayments(self.faults)
        saga = self.saga

        class Watched(Service):
            def _saga(self):
                return saga()

        self.door = Watched()
        self.door.transactions = scope
        self.order_id = saga(operation_id=f"me/{new_id()}").begin(an_order((1, 2), at=now())).id

    def saga(self, later=timedelta(0), operation_id=None):
        call = Call(request_id="r", method="order.place_order", operation_id=operation_id)
        return a_saga(SqlDesk(self.scope, call, clock=lambda: now() + later), self.stock, self.payments, clock=now)

    def cancel(self, *, operation_id=None, deadline=None):
        operation_id = operation_id or f"me/{new_id()}"
        with serving(Call(request_id="r", method="order.cancel_order", operation_id=operation_id, deadline=deadline)):
            return self.door.cancel_order(contract.CancelOrder(user_id="me", order_id=self.order_id))

    def sweep(self, later=2 * LEASE):
        """How many were finished by a sweeper that comes so much later."""
        return resume_orders(saga=self.saga(later), most=5)

    @property
    def row(self):
        with self.scope.reading() as session:
            found = session.execute(select(orders).where(orders.c.id == self.order_id)).one()
        return found.status, found.release_due


@pytest.fixture
def shop(scope):
    return Shop(scope)


def test_the_money_is_let_go_with_the_answer_and_the_sweeper_finds_nothing_to_do(shop):
    answer = shop.cancel()

    assert (answer.status, shop.row) == ("cancelled", ("cancelled", False))
    assert shop.payments.voided == [shop.order_id]
    assert shop.sweep() == 0


def test_a_cancellation_whose_deadline_passes_before_its_commit_has_touched_no_money(shop, engine):
    shop.door.transactions = Late(engine)

    with pytest.raises(DeadlinePassed):
        shop.cancel(deadline=Deadline.after(timedelta(seconds=2)))

    assert (shop.row, shop.sweep()) == (("confirmed", False), 0)
    assert shop.payments.voided == []


def test_a_cancellation_that_cannot_be_committed_has_touched_no_money(shop, engine):
    with engine.begin() as connection:
        connection.execute(text(REFUSING))

    try:
        with pytest.raises((Refusal, DBAPIError)):
            shop.cancel()
    finally:
        with engine.begin() as connection:
            connection.execute(text("DROP TRIGGER at_commit ON orders; DROP FUNCTION refuse()"))

    assert (shop.row, shop.sweep()) == (("confirmed", False), 0)
    assert shop.payments.voided == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_dies_after_the_commit_is_finished_by_the_sweeper(shop, when):
    shop.faults.order("void", Crash(), when=when)
    with pytest.raises(Crash):
        shop.cancel()
    assert shop.row == ("cancelled", True)

    assert shop.sweep() == 1

    assert (shop.payments.authorized, set(shop.payments.voided)) == (set(), {shop.order_id})
    assert (shop.row, shop.sweep(10 * LEASE)) == (("cancelled", False), 0)
    assert shop.stock.free[1] == 98, "stock follows the event"


def test_the_sweeper_leaves_the_money_to_the_first_run_for_as_long_as_that_may_live(shop, engine):
    shop.faults.order("void", Crash())
    with pytest.raises(Crash):
        shop.cancel()

    with engine.connect() as connection:
        waits = connection.execute(select(orders.c.resume_at - orders.c.updated_at)).scalar_one()
    assert waits == LEASE


def test_a_provider_who_is_away_is_asked_again_until_the_money_is_let_go(shop):
    for _ in range(3):
        shop.faults.order("void", Unavailable(retry_after=1))

    assert shop.cancel().status == "cancelled"
    for round_ in range(1, 4):
        assert shop.payments.voided == []
        shop.sweep(10 * round_ * LEASE)

    assert shop.payments.voided == [shop.order_id]
    assert shop.row == ("cancelled", False)


def test_a_provider_that_breaks_makes_no_failure_of_a_cancellation_that_is_done(shop):
    shop.faults.order("void", RuntimeError("its own fault"))

    assert shop.cancel().status == "cancelled"
    assert shop.row == ("cancelled", True)

    assert shop.sweep() == 1
    assert (shop.payments.voided, shop.row) == ([shop.order_id], ("cancelled", False))


def test_a_repetition_lets_nothing_go_a_second_time(shop):
    operation_id = f"me/{new_id()}"
    first = shop.cancel(operation_id=operation_id)

    again = shop.cancel(operation_id=operation_id)

    assert again["updated_at"] == first.updated_at
    assert shop.payments.voided == [shop.order_id]
