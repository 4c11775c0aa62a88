from datetime import timedelta

import pytest

from rpc_services.notification.domain import LADDER, lease_for
from rpc_services.notification.letters import TemplateLetters
from rpc_services.notification.use_cases import (
    TEMPLATES,
    Clerk,
    NotNow,
    Postman,
    Shift,
    Undeliverable,
    audit_deliveries,
    list_notifications,
)
from shared.contracts.events import ORDER_CANCELLED, ORDER_PLACED, Event, OrderCancelled, OrderPlaced
from shared.contracts.notification import AuditDeliveries, ListNotifications
from shared.contracts.refusals import InvalidRequest, OutcomeUnknown, Unavailable
from shared.values.identifiers import new_id
from tests.fakes.clock import FakeClock
from tests.fakes.notification import FakeDeliveries, a_delivery

LETTERS = TemplateLetters(TEMPLATES)
LEASE = lease_for(timedelta(seconds=5))


class FakeMailer:
    """A mail server that does what ``answers`` say, then takes everything."""

    def __init__(self, *answers, during=None):
        self.answers = list(answers)
        self.taken = []
        self.during = during
        self.is_open = False

    def send(self, delivery):
        self.is_open = True
        if self.during:
            self.during()
        answer = self.answers.pop(0) if self.answers else None
        if answer:
            raise answer
        self.taken.append(delivery.message_id)

    def close(self):
        self.is_open = False


class Office:
    def __init__(self, mailer=None):
        self.clock = FakeClock()
        self.deliveries = FakeDeliveries()
        self.mailer = mailer or FakeMailer()
        self.reports = []
        self.postman = Postman(
            self.deliveries,
            self.mailer,
            self.clock,
            lambda: 0.5,
            lambda _, state, why: self.reports.append((state, why)),
            lambda seconds: self.clock.advance(timedelta(seconds=seconds)),
            LEASE,
        )

    def queued(self, count=1):
        made = [a_delivery(due_at=self.clock(), created_at=self.clock()) for _ in range(count)]
        for each in made:
            self.deliveries.add(each)
        return made

    def state(self, delivery):
        return self.deliveries.kept[delivery.id].state

    def clerk(self, address_of=lambda _: "anna@example.com"):
        return Clerk(self.deliveries, LETTERS, address_of, self.clock, new_id)


def an_event(kind, data):
    return Event(
        event_id=new_id(), type=kind.name, version=1, occurred_at="2026-01-02T00:00:00Z", aggregate_id="o", sequence=1,
        request_id="r", data=data,
    )  # fmt: skip


def a_placed_order():
    order = OrderPlaced(
        order_id=new_id(), number="ABC123", user_id=new_id(), lines=[], total="0.00", currency="EUR", from_cart=True
    )
    return an_event(ORDER_PLACED, {}), order


class TestWriting:
    def test_an_order_that_is_placed_makes_one_confirmation_however_often_it_is_told(self):
        office = Office()
        event, order = a_placed_order()

        assert office.clerk().confirm_order(event, order)
        assert not office.clerk().confirm_order(event, order)

        (kept,) = office.deliveries.kept.values()
        assert (kept.about, kept.event, kept.template) == (order.order_id, "order.placed", "order_confirmed")
        assert (kept.recipient.user_id, kept.recipient.address) == (order.user_id, "anna@example.com")
        assert (kept.state, kept.letter.subject) == ("queued", "Order ABC123 confirmed")

    def test_an_order_that_is_cancelled_makes_a_cancellation(self):
        office = Office()
        order = OrderCancelled(order_id=new_id(), number="ABC123", user_id=new_id(), total="1.00", currency="EUR")

        office.clerk().confirm_cancellation(an_event(ORDER_CANCELLED, {}), order)

        (kept,) = office.deliveries.kept.values()
        assert (kept.template, kept.letter.subject) == ("order_cancelled", "Order ABC123 cancelled")

    def test_who_was_told_of_the_cancellation_is_not_told_afterwards_that_the_order_is_confirmed(self):
        office = Office()
        event, placed = a_placed_order()
        cancelled = OrderCancelled(
            order_id=placed.order_id, number=placed.number, user_id=placed.user_id, total="0.00", currency="EUR"
        )

        office.clerk().confirm_cancellation(an_event(ORDER_CANCELLED, {}), cancelled)

        assert not office.clerk().confirm_order(event, placed)
        assert [each.template for each in office.deliveries.kept.values()] == ["order_cancelled"]

    def test_a_confirmation_and_then_a_cancellation_are_both_told(self):
        office = Office()
        event, placed = a_placed_order()
        cancelled = OrderCancelled(
            order_id=placed.order_id, number=placed.number, user_id=placed.user_id, total="0.00", currency="EUR"
        )

        office.clerk().confirm_order(event, placed)
        office.clerk().confirm_cancellation(an_event(ORDER_CANCELLED, {}), cancelled)

        assert [each.template for each in office.deliveries.kept.values()] == ["order_confirmed", "order_cancelled"]

    def test_without_an_address_nothing_is_written_and_the_event_comes_again(self):
        def away(_):
            raise Unavailable

        office = Office()

        with pytest.raises(Unavailable):
            office.clerk(away).confirm_order(*a_placed_order())
        assert not office.deliveries.kept


class TestPosting:
    def test_what_is_due_is_sent_once(self):
        office = Office()
        (delivery,) = office.queued()

        office.postman.do_round(batch=9)
        office.postman.do_round(batch=9)

        assert office.mailer.taken == [delivery.message_id]
        assert (office.state(delivery), office.reports) == ("sent", [("sent", "")])
        assert not office.mailer.is_open

    def test_a_refusal_for_good_ends_it_and_the_others_are_still_sent(self):
        office = Office(FakeMailer(Undeliverable(550)))
        refused, fine = office.queued(2)

        office.postman.do_round(batch=9)

        assert (office.state(refused), office.state(fine)) == ("failed", "sent")
        assert office.reports[0] == ("failed", "550")

    def test_a_fault_that_may_pass_is_tried_again_later_with_the_same_message_id(self):
        office = Office(FakeMailer(NotNow("SMTPConnectError 421")))
        (delivery,) = office.queued()

        office.postman.do_round(batch=9)
        assert office.state(delivery) == "queued"
        office.postman.do_round(batch=9)
        assert not office.mailer.taken
        office.clock.advance(timedelta(seconds=1))
        office.postman.do_round(batch=9)

        assert office.mailer.taken == [delivery.message_id]

    def test_a_message_that_is_never_taken_is_given_up_in_the_end(self):
        office = Office(FakeMailer(*[NotNow("away")] * 99))
        (delivery,) = office.queued()

        for _ in range(len(LADDER) + 5):
            office.postman.do_round(batch=9)
            office.clock.advance(timedelta(days=1))

        assert office.state(delivery) == "dead"
        assert [state for state, _ in office.reports] == ["queued"] * len(LADDER) + ["dead"]

    def test_what_the_lease_is_too_short_for_is_given_back_for_the_next_round(self):
        office = Office()
        office.mailer.during = lambda: office.clock.advance(LEASE.whole * 0.6)
        first, second = office.queued(2)

        office.postman.do_round(batch=9)
        assert (office.state(first), office.state(second)) == ("sent", "queued")

        office.postman.do_round(batch=9)
        assert office.state(second) == "sent"

    def test_a_letter_spends_only_the_tries_that_it_has_had(self):
        office = Office(FakeMailer(*[NotNow("timed out")] * 999))
        office.mailer.during = lambda: office.clock.advance(timedelta(seconds=5))
        office.queued(20)

        for _ in range(40):
            office.postman.do_round(batch=20)
            office.clock.advance(timedelta(seconds=1))

        kept = office.deliveries.kept.values()
        assert sum(each.attempts for each in kept) == len(office.reports)
        assert {each.state for each in kept} == {"queued"}

    def test_what_cannot_be_given_back_is_sent_when_the_lease_has_ended(self):
        def away(*_, **__):
            raise Unavailable

        office = Office()
        office.mailer.during = lambda: office.clock.advance(LEASE.whole * 0.6)
        office.deliveries.give_back = away
        _, second = office.queued(2)

        office.postman.do_round(batch=9)
        assert office.state(second) == "sending"

        office.clock.advance(LEASE.whole)
        office.postman.do_round(batch=9)
        assert office.state(second) == "sent"

    def test_who_leaves_finishes_the_letter_in_hand_and_gives_the_others_back_before_that(self):
        office, seen = Office(), []
        first, *others = office.queued(4)

        def leave():
            office.postman.leave()
            seen.extend(office.deliveries.kept[each.id] for each in (first, *others))

        office.mailer.during = leave
        office.postman.do_rounds(batch=2, at_most=timedelta(seconds=30))

        assert [(each.state, each.attempts) for each in seen] == [("sending", 1)] + 3 * [("queued", 0)]
        assert {each.due_at for each in seen[1:]} == {office.clock()}
        assert office.mailer.taken == [first.message_id]
        assert [office.state(each) for each in (first, *others)] == ["sent", "queued", "queued", "queued"]

    def test_after_the_shift_nobody_goes_out(self):
        office, shift = Office(), Shift()
        (delivery,) = office.queued()

        shift.end()
        shift.send(office.postman, batch=9, at_most=timedelta(seconds=30))

        assert office.state(delivery) == "queued"

    def test_a_postman_who_was_too_slow_says_so_and_overwrites_nothing(self):
        office = Office()
        (delivery,) = office.queued()
        hand_over = lambda: office.deliveries.claim(  # noqa: E731 - shorter than a class of one method
            limit=1, at=office.clock() + LEASE.whole, until=office.clock() + 2 * LEASE.whole
        )
        office.mailer.during = hand_over

        office.postman.do_round(batch=9)

        assert office.state(delivery) == "sending"
        assert office.reports == [("sent", "the lease had ended")]

    def test_what_was_sent_while_the_database_was_away_is_noted_when_it_is_back(self):
        office = Office()
        (delivery,) = office.queued()
        settle, faults = office.deliveries.settle, [Unavailable(), Unavailable()]

        def settle_when_back(*arguments, **named):
            if faults:
                raise faults.pop()
            return settle(*arguments, **named)

        office.deliveries.settle = settle_when_back
        office.postman.do_round(batch=9)

        assert office.state(delivery) == "sent"
        assert office.mailer.taken == [delivery.message_id]

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_what_nobody_knows_to_be_noted_is_noted_once_more(self, when):
        office = Office()
        (delivery,) = office.queued()
        settle, faults = office.deliveries.settle, [OutcomeUnknown()]

        def settle_in_doubt(*arguments, **named):
            held = settle(*arguments, **named) if when == "after" or not faults else None
            if faults:
                raise faults.pop()
            return held

        office.deliveries.settle = settle_in_doubt
        office.postman.do_round(batch=9)

        assert office.state(delivery) == "sent"
        assert office.reports == [("sent", "")]

    def test_rounds_go_on_while_there_is_work_and_stop_when_the_time_is_over(self):
        office = Office()
        office.queued(7)

        office.postman.do_rounds(batch=3, at_most=timedelta(seconds=30))
        assert len(office.mailer.taken) == 7

        office.queued(7)
        office.mailer.during = lambda: office.clock.advance(timedelta(seconds=5))
        office.postman.do_rounds(batch=3, at_most=timedelta(seconds=14))
        assert len(office.mailer.taken) == 10

    def test_the_server_is_let_go_whatever_happens(self):
        office = Office(FakeMailer(ZeroDivisionError()))
        office.queued()

        with pytest.raises(ZeroDivisionError):
            office.postman.do_round(batch=9)
        assert not office.mailer.is_open


class TestTelling:
    def test_pages_neither_skip_nor_repeat_while_new_messages_come(self):
        office, who = Office(), new_id()
        old = [a_delivery(user_id=who) for _ in range(5)]
        for each in old:
            office.deliveries.add(each)

        seen, cursor = [], None
        while True:
            page = list_notifications(
                ListNotifications(user_id=who, cursor=cursor, limit=2), deliveries=office.deliveries
            )
            seen += [each.id for each in page.items]
            office.deliveries.add(a_delivery(user_id=who))
            if (cursor := page.next_cursor) is None:
                break

        assert seen == [each.id for each in reversed(old)]

    def test_a_cursor_that_is_none_is_refused(self):
        with pytest.raises(InvalidRequest):
            list_notifications(ListNotifications(user_id=new_id(), cursor="made up\0"), deliveries=FakeDeliveries())

    def test_who_is_no_user_was_sent_nothing(self):
        page = list_notifications(ListNotifications(user_id="\0"), deliveries=FakeDeliveries())

        assert (page.items, page.next_cursor) == ([], None)

    def test_the_audit_tells_every_order_it_was_asked_for(self):
        office = Office()
        (delivery,) = office.queued()
        missing = new_id()

        audit = audit_deliveries(AuditDeliveries(order_ids=[delivery.about, missing]), deliveries=office.deliveries)

        assert audit.confirmations == {delivery.about: ["queued"], missing: []}
