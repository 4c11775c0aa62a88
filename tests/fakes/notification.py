"""Notification's ports in memory, and the behaviour that they and the SQL adapters share."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rpc_services.notification.domain import Delivery, Letter, Recipient
from shared.values.identifiers import new_id

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
LEASE = timedelta(minutes=1)


def a_delivery(**fields):
    who = fields.pop("user_id", None) or new_id()
    given = {
        "id": new_id(),
        "event_id": new_id(),
        "event": "order.placed",
        "about": new_id(),
        "request_id": "request-1",
        "template": "order_confirmed",
        "recipient": Recipient(user_id=who, address=fields.pop("address", "anna@example.com")),
        "letter": Letter(subject="Order 1 confirmed", text="Thank you.\n"),
        "due_at": NOON,
        "created_at": NOON,
    }
    return Delivery(**given | fields)


class FakeDeliveries:
    """Both the writer's side and the postman's."""

    def __init__(self):
        self.kept = {}

    def add(self, delivery):
        def key(each):
            return each.event_id, each.recipient.user_id, each.channel, each.template

        if any(key(each) == key(delivery) for each in self.kept.values()):
            return False
        self.kept[delivery.id] = delivery
        return True

    def page_of(self, user_id, *, before, limit):
        own = [each for each in self.kept.values() if each.recipient.user_id == user_id]
        return sorted((each for each in own if before is None or each.id < before), key=lambda each: each.id)[::-1][
            :limit
        ]

    def states_about(self, subjects, template):
        states = {}
        for each in self.kept.values():
            if each.about in subjects and each.template == template:
                states.setdefault(each.about, []).append(each.state)
        return states

    def claim(self, *, limit, at, until):
        due = [each for each in self.kept.values() if each.state in {"queued", "sending"} and each.due_at <= at]
        claimed = [
            replace(each, state="sending", due_at=until, attempts=each.attempts + 1)
            for each in sorted(due, key=lambda each: each.due_at)[:limit]
        ]
        self.kept.update({each.id: each for each in claimed})
        return claimed

    def settle(self, claimed, state, *, at, due_at):
        kept = self.kept[claimed.id]
        if kept.attempts != claimed.attempts or kept.state not in {"sending", state}:
            return False
        self.kept[claimed.id] = replace(kept, state=state, due_at=due_at, sent_at=at if state == "sent" else None)
        return True

    def give_back(self, unbegun, *, at):
        for each in unbegun:
            kept = self.kept[each.id]
            if (kept.attempts, kept.state) == (each.attempts, "sending"):
                self.kept[each.id] = replace(kept, state="queued", due_at=at, attempts=kept.attempts - 1)


class DeliveriesBehaviour:
    """What every keeper of deliveries does; subclasses give ``deliveries`` and ``claims`` on the same queue."""

    def test_one_event_makes_one_message_to_one_person(self, deliveries):
        first = a_delivery()

        assert deliveries.add(first)
        assert not deliveries.add(
            replace(first, id=new_id(), recipient=replace(first.recipient, address="b@example.com"))
        )
        assert deliveries.add(replace(first, id=new_id(), template="order_cancelled"))

    def test_a_page_is_newest_first_and_only_ones_own(self, deliveries):
        who = new_id()
        mine = [a_delivery(user_id=who) for _ in range(3)]
        for each in [*mine, a_delivery()]:
            deliveries.add(each)

        assert list(deliveries.page_of(who, before=None, limit=2)) == [mine[2], mine[1]]
        assert list(deliveries.page_of(who, before=mine[1].id, limit=2)) == [mine[0]]

    def test_states_are_told_per_subject_and_template(self, deliveries):
        asked, other = a_delivery(), a_delivery(template="order_cancelled")
        deliveries.add(asked)
        deliveries.add(other)

        assert dict(deliveries.states_about([asked.about, other.about], "order_confirmed")) == {asked.about: ["queued"]}

    def test_what_is_due_is_claimed_once_until_the_lease_ends(self, deliveries, claims):
        due, later = a_delivery(), a_delivery(due_at=NOON + timedelta(seconds=30))
        deliveries.add(due)
        deliveries.add(later)

        first = claims.claim(limit=9, at=NOON, until=NOON + LEASE)
        second = claims.claim(limit=9, at=NOON, until=NOON + LEASE)
        after_the_lease = claims.claim(limit=9, at=NOON + LEASE, until=NOON + 2 * LEASE)

        assert [(each.id, each.attempts) for each in first] == [(due.id, 1)]
        assert list(second) == []
        assert {(each.id, each.attempts) for each in after_the_lease} == {(due.id, 2), (later.id, 1)}

    def test_no_more_is_claimed_than_asked_for(self, deliveries, claims):
        for _ in range(3):
            deliveries.add(a_delivery())

        assert len(claims.claim(limit=2, at=NOON, until=NOON + LEASE)) == 2
        assert len(claims.claim(limit=2, at=NOON, until=NOON + LEASE)) == 1

    def test_what_was_sent_is_never_claimed_again(self, deliveries, claims):
        sent = a_delivery()
        deliveries.add(sent)
        (claimed,) = claims.claim(limit=1, at=NOON, until=NOON + LEASE)

        assert claims.settle(claimed, "sent", at=NOON, due_at=NOON)
        assert list(claims.claim(limit=1, at=NOON + 9 * LEASE, until=NOON + 10 * LEASE)) == []
        (kept,) = deliveries.page_of(sent.recipient.user_id, before=None, limit=1)
        assert (kept.state, kept.sent_at) == ("sent", NOON)

    @pytest.mark.parametrize("state", ["sent", "queued", "failed"])
    def test_what_became_of_a_letter_may_be_said_again_by_who_said_it(self, deliveries, claims, state):
        deliveries.add(a_delivery())
        (claimed,) = claims.claim(limit=1, at=NOON, until=NOON + LEASE)

        assert claims.settle(claimed, state, at=NOON, due_at=NOON)
        assert claims.settle(claimed, state, at=NOON, due_at=NOON)

    def test_what_became_of_a_letter_is_not_said_again_once_another_has_it(self, deliveries, claims):
        deliveries.add(a_delivery())
        (first,) = claims.claim(limit=1, at=NOON, until=NOON + LEASE)
        claims.settle(first, "queued", at=NOON, due_at=NOON)
        (second,) = claims.claim(limit=1, at=NOON, until=NOON + LEASE)

        assert not claims.settle(first, "queued", at=NOON, due_at=NOON)
        assert claims.settle(second, "sent", at=NOON, due_at=NOON)

    def test_a_postman_whose_lease_was_taken_over_changes_nothing(self, deliveries, claims):
        deliveries.add(a_delivery())
        (late,) = claims.claim(limit=1, at=NOON, until=NOON + LEASE)
        (heir,) = claims.claim(limit=1, at=NOON + LEASE, until=NOON + 2 * LEASE)

        assert not claims.settle(late, "dead", at=NOON, due_at=NOON)
        assert claims.settle(heir, "sent", at=NOON, due_at=NOON)

    def test_what_is_given_back_is_due_at_once_and_has_spent_no_try(self, deliveries, claims):
        who, soon = new_id(), NOON + timedelta(seconds=5)
        for _ in range(3):
            deliveries.add(a_delivery(user_id=who))
        claimed = claims.claim(limit=3, at=NOON, until=NOON + LEASE)

        claims.give_back(claimed[1:], at=soon)

        kept = deliveries.page_of(who, before=None, limit=9)
        assert [(each.state, each.attempts) for each in kept] == [("queued", 0), ("queued", 0), ("sending", 1)]
        again = claims.claim(limit=9, at=soon, until=soon + LEASE)
        assert [(each.id, each.attempts) for each in again] == [(each.id, 1) for each in claimed[1:]]

    def test_what_another_claimed_meanwhile_or_was_settled_is_not_given_back(self, deliveries, claims):
        who = new_id()
        for _ in range(2):
            deliveries.add(a_delivery(user_id=who))
        late = claims.claim(limit=2, at=NOON, until=NOON + LEASE)
        claims.settle(late[0], "sent", at=NOON, due_at=NOON)
        claims.claim(limit=1, at=NOON + LEASE, until=NOON + 2 * LEASE)

        claims.give_back(late, at=NOON)

        kept = deliveries.page_of(who, before=None, limit=9)
        assert [(each.state, each.attempts) for each in kept] == [("sending", 2), ("sent", 1)]
