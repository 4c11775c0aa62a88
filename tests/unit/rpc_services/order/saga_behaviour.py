"""What holds of an order whatever happens on its way, at a desk in memory or in PostgreSQL.

A subclass gives the fixture ``shop``: stock, payments, faults, clock, ``saga(operation_id)``, and what it sees of
``status(order)``, ``events(order)``, ``operation(order)`` and ``release_due(order)``.
"""

from datetime import timedelta

import pytest

from shared.contracts.cart import PriceChanged
from shared.contracts.catalog import OutOfStock, ReservationLost
from shared.contracts.order import MixedCurrencies, PaymentDeclined
from shared.contracts.refusals import (
    DeadlinePassed,
    InvalidRequest,
    OutcomeUnknown,
    Refusal,
    StillRunning,
    Unavailable,
)
from tests.fakes.carts import a_product
from tests.fakes.orders import an_order


class Crash(BaseException):
    """The process is gone."""


STEPS = ["reserve", "authorize", "confirm stock", "confirm"]
MOMENTS = [(step, when) for step in STEPS for when in ("before", "after")]
OUTAGES = [Unavailable(retry_after=1), DeadlinePassed(), OutcomeUnknown()]


class SagaBehaviour:
    @pytest.fixture
    def order(self, shop):
        return an_order((1, 2), (2, 1), at=shop.clock())

    def test_an_order_ends_confirmed_with_its_stock_sold_and_one_event(self, shop, order):
        answer = shop.begin(order)

        assert (answer.status, answer.total, answer.payment_status) == ("confirmed", "15.00", "authorized")
        assert shop.stock.state_of(order) == "sold"
        assert (shop.status(order), shop.events(order)) == ("confirmed", 1)

    def test_the_same_operation_gives_the_first_answer_and_no_second_order(self, shop, order):
        first = shop.begin(order)

        again = shop.begin(an_order((1, 2), operation_id=order.operation_id))

        assert again["id"] == first.id
        assert shop.stock.free[1] == 98

    def test_short_stock_refuses_the_order_and_nothing_is_held(self, shop, order):
        shop.stock.free[2] = 0

        with pytest.raises(OutOfStock):
            shop.begin(order)

        assert (shop.status(order), shop.events(order), shop.stock.free[1]) == ("rejected", 0, 100)

    def test_a_refused_operation_is_refused_again_even_when_stock_came_in(self, shop, order):
        shop.stock.free[2] = 0
        with pytest.raises(OutOfStock):
            shop.begin(order)
        shop.stock.free[2] = 100

        with pytest.raises(OutOfStock):
            shop.begin(an_order((1, 2), operation_id=order.operation_id))

    def test_a_declined_payment_gives_the_stock_back(self, shop, order):
        shop.payments.declines = True

        with pytest.raises(PaymentDeclined):
            shop.begin(order)

        assert (shop.status(order), shop.stock.free[1], shop.release_due(order)) == ("rejected", 100, False)

    def test_a_hold_that_was_lost_before_the_sale_voids_the_payment(self, shop, order):
        shop.faults.order("confirm stock", ReservationLost(order_id=order.id))

        with pytest.raises(ReservationLost):
            shop.begin(order)

        assert shop.payments.authorized == set()

    def test_a_total_above_what_was_expected_is_refused_with_the_new_quote(self, shop):
        order = an_order((1, 2), expected_total="4.99", at=shop.clock())

        with pytest.raises(PriceChanged) as refusal:
            shop.begin(order)

        assert refusal.value.details == {"total": "5.00", "expected_total": "4.99", "currency": "EUR"}
        assert shop.stock.free[1] == 100

    def test_a_total_below_what_was_expected_is_welcome(self, shop):
        assert shop.begin(an_order((1, 2), expected_total="7.00", at=shop.clock())).total == "5.00"

    def test_an_expected_total_that_is_no_amount_of_the_currency_is_named(self, shop):
        with pytest.raises(InvalidRequest) as refusal:
            shop.begin(an_order((1, 2), expected_total="5.0", at=shop.clock()))

        assert [fault["pointer"] for fault in refusal.value.details["errors"]] == ["/expected_total"]

    def test_items_in_different_currencies_are_refused(self, shop, order):
        shop.stock.products[2] = a_product(2, price="300", currency="JPY")

        with pytest.raises(MixedCurrencies):
            shop.begin(order)

        assert shop.stock.free == {1: 100, 2: 100}

    @pytest.mark.parametrize("away", [Unavailable(retry_after=1), DeadlinePassed()])
    def test_a_catalogue_that_was_not_reached_leaves_no_trace_and_the_key_may_be_used_again(self, shop, order, away):
        shop.faults.order("reserve", away)
        with pytest.raises(type(away)):
            shop.begin(order)
        assert shop.status(order) is None

        answer = shop.begin(an_order((1, 2), operation_id=order.operation_id, at=shop.clock()))

        assert answer.status == "confirmed"

    @pytest.mark.parametrize(
        ("step", "when", "fault"),
        [
            ("reserve", "before", OutcomeUnknown()),
            ("reserve", "after", OutcomeUnknown()),
            *((step, when, fault) for step, when in MOMENTS[2:] for fault in OUTAGES),
        ],
    )
    def test_an_outage_on_the_way_has_an_unknown_outcome_and_is_finished_later(self, shop, order, step, when, fault):
        shop.faults.order(step, fault, when=when)
        with pytest.raises(OutcomeUnknown):
            shop.begin(order)

        shop.pass_time(timedelta(seconds=11))
        shop.resume()

        assert (shop.status(order), shop.events(order), shop.stock.state_of(order)) == ("confirmed", 1, "sold")
        assert shop.operation(order)["status"] == "confirmed"

    @pytest.mark.parametrize(("step", "when"), MOMENTS)
    def test_an_order_whose_process_died_is_finished_exactly_once(self, shop, order, step, when):
        shop.faults.order(step, Crash(), when=when)
        with pytest.raises(Crash):
            shop.begin(order)

        shop.pass_time(timedelta(seconds=11))
        shop.resume()
        shop.pass_time(timedelta(seconds=11))
        shop.resume()

        assert (shop.status(order), shop.events(order), shop.stock.state_of(order)) == ("confirmed", 1, "sold")
        assert shop.stock.free == {1: 98, 2: 99}
        assert shop.operation(order)["id"] == order.id

    def test_what_lies_pending_is_not_taken_up_before_its_first_run_must_be_dead(self, shop, order):
        shop.faults.order("authorize", Crash())
        with pytest.raises(Crash):
            shop.begin(order)

        shop.pass_time(timedelta(seconds=9))

        assert shop.resume() == 0

    def test_a_repetition_while_the_first_run_is_at_it_is_told_to_wait(self, shop, order):
        shop.faults.order("authorize", Crash())
        with pytest.raises(Crash):
            shop.begin(order)

        with pytest.raises(StillRunning):
            shop.begin(an_order((1, 2), operation_id=order.operation_id))

    @pytest.mark.parametrize(("step", "when"), MOMENTS)
    def test_a_call_that_the_broker_brings_again_carries_its_order_on_at_once(self, shop, order, step, when):
        shop.faults.order(step, Crash(), when=when)
        with pytest.raises(Crash):
            shop.begin(order)

        again = shop.begin(an_order((1, 2), operation_id=order.operation_id), redelivered=True)

        assert (again["id"] if isinstance(again, dict) else again.id) == order.id
        assert (shop.status(order), shop.events(order), shop.stock.free) == ("confirmed", 1, {1: 98, 2: 99})

    def test_a_call_that_the_broker_brings_again_is_refused_as_its_order_is(self, shop, order):
        shop.faults.order("authorize", Crash())
        with pytest.raises(Crash):
            shop.begin(order)
        shop.payments.declines = True

        with pytest.raises(PaymentDeclined):
            shop.begin(an_order((1, 2), operation_id=order.operation_id), redelivered=True)

        assert (shop.status(order), shop.stock.free) == ("rejected", {1: 100, 2: 100})

    def test_an_heir_and_a_first_run_that_lives_after_all_make_one_order(self, shop, order):
        confirm = shop.stock.confirm

        def meanwhile(held):
            shop.stock.confirm = confirm
            shop.begin(an_order((1, 2), operation_id=order.operation_id), redelivered=True)
            confirm(held)

        shop.stock.confirm = meanwhile

        answer = shop.begin(order)

        assert (answer.id, shop.events(order), shop.stock.free[1]) == (order.id, 1, 98)

    def test_an_heir_that_meets_an_outage_leaves_the_order_to_the_sweeper(self, shop, order):
        shop.faults.order("authorize", Crash())
        with pytest.raises(Crash):
            shop.begin(order)
        shop.faults.order("reserve", Unavailable(retry_after=1))

        with pytest.raises(OutcomeUnknown):
            shop.begin(an_order((1, 2), operation_id=order.operation_id), redelivered=True)

        shop.pass_time(timedelta(seconds=11))
        shop.resume()
        assert (shop.status(order), shop.events(order)) == ("confirmed", 1)

    @pytest.mark.parametrize("step", ["reject", "release", "released"])
    @pytest.mark.parametrize("when", ["before", "after"])
    def test_a_rejection_that_died_half_way_ends_with_all_stock_back(self, shop, order, step, when):
        shop.payments.declines = True
        shop.faults.order(step, Crash(), when=when)
        with pytest.raises(Crash):
            shop.begin(order)

        shop.pass_time(timedelta(seconds=11))
        shop.resume()

        assert (shop.status(order), shop.stock.free, shop.release_due(order)) == ("rejected", {1: 100, 2: 100}, False)

    def test_a_release_that_the_catalogue_cannot_take_is_made_up_for(self, shop, order):
        shop.payments.declines = True
        shop.faults.order("release", Unavailable(retry_after=1))
        with pytest.raises(PaymentDeclined):
            shop.begin(order)
        assert shop.release_due(order)

        shop.pass_time(timedelta(seconds=11))
        shop.resume()

        assert (shop.stock.free[1], shop.release_due(order)) == (100, False)

    def test_two_who_finish_the_same_order_make_one_event(self, shop, order):
        """The sweeper takes over from a run that was only slow, and both come to the end."""

        def meanwhile(lines=shop.stock.confirm):
            def confirm(order):
                shop.stock.confirm = lines
                shop.pass_time(timedelta(seconds=11))
                assert shop.resume() == 1
                lines(order)

            return confirm

        shop.stock.confirm = meanwhile()

        answer = shop.begin(order)

        assert (answer.status, shop.events(order), shop.stock.free[1]) == ("confirmed", 1, 98)

    def test_a_slow_run_that_comes_after_a_rejection_sells_nothing(self, shop, order):
        confirm = shop.stock.confirm

        def late(order):
            shop.stock.confirm = confirm
            shop.payments.declines = True
            shop.pass_time(timedelta(seconds=11))
            shop.resume()
            confirm(order)

        shop.stock.confirm = late

        with pytest.raises(Refusal):
            shop.begin(order)

        assert (shop.status(order), shop.events(order), shop.stock.free) == ("rejected", 0, {1: 100, 2: 100})
