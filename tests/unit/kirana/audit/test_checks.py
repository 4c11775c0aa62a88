import pytest

from kirana.audit.checks import findings
from kirana.audit.evidence import Acknowledged, Evidence
from shared.contracts.catalog import StockAudit
from shared.contracts.order import AuditedOrder


def an_order(number, *, status="confirmed", units=2, operation_id=None, age_seconds=60.0):
    return AuditedOrder(
        id=f"order-{number}",
        number=f"NUMBER{number}",
        user_id="u",
        status=status,
        units=units,
        operation_id=operation_id or f"u/key-{number}",
        age_seconds=age_seconds,
    )


def a_mail(number, subject="Order {} confirmed"):
    return {"subject": subject.format(f"NUMBER{number}"), "text": ""}


def evidence(**changes):
    """One confirmed order as it should be."""
    stock = StockAudit(products=5, violations=[], reservations={}, units_sold=2, oldest_outbox_seconds=0.0)
    facts = {
        "orders": [an_order(1)],
        "duplicates": [],
        "stock": stock,
        "reservations": {"order-1": "sold"},
        "confirmations": {"order-1": ["sent"]},
        "mails": [a_mail(1)],
        "outboxes": {"order": 0.0, "catalog": 0.0},
        "acknowledged": [Acknowledged("key-1", "order-1")],
    }
    return Evidence(**{**facts, **changes})


def faults(**changes):
    return [fault for finding in findings(evidence(**changes)) for fault in finding.faults]


def stock(**changes):
    facts = {"products": 5, "violations": [], "reservations": {}, "units_sold": 2, "oldest_outbox_seconds": 0.0}
    return StockAudit(**{**facts, **changes})


def test_a_shop_that_kept_its_word_has_no_faults():
    assert faults() == []


def test_without_a_history_the_confirmed_orders_count_as_acknowledged():
    assert faults(acknowledged=None) == []


def test_cancelled_and_rejected_orders_that_gave_back_are_fine():
    orders = [
        an_order(1),
        an_order(2, status="cancelled"),
        an_order(3, status="rejected"),
        an_order(4, status="rejected"),
    ]
    reservations = {"order-1": "sold", "order-2": "released", "order-3": "expired"}
    mails = [a_mail(1), a_mail(2), a_mail(2, "Order {} cancelled")]
    confirmations = {"order-1": ["sent"], "order-2": ["sent"]}

    assert faults(orders=orders, reservations=reservations, mails=mails, confirmations=confirmations) == []


def test_without_a_mailbox_what_was_sent_is_checked_all_the_same():
    assert faults(mails=None) == []
    assert faults(mails=None, confirmations={"order-1": ["pending"]}) == ["order-1: its confirmations are ['pending']"]


@pytest.mark.parametrize(
    "changes",
    [
        {"orders": [], "reservations": {}, "stock": stock(units_sold=0)},
        {"acknowledged": [Acknowledged("key-1", "order-1"), Acknowledged("key-2", "order-9")]},
        {"acknowledged": [Acknowledged("key-1", "order-1"), Acknowledged("key-2", "order-1")]},
        {"orders": [an_order(1, status="rejected")], "reservations": {}, "stock": stock(units_sold=0)},
        {"orders": [an_order(1, status="pending")], "stock": stock(units_sold=0)},
        {"duplicates": ["u/key-1"]},
        {"orders": [an_order(1, units=1), an_order(1, units=1)]},
        {"reservations": {}},
        {"reservations": {"order-1": "held"}},
        {"reservations": {"order-1": "released"}},
        {"reservations": {"order-1": "sold", "order-9": "sold"}},
        {"reservations": {"order-1": "sold", "order-9": "held"}},
        {"confirmations": {}},
        {"confirmations": {"order-1": ["sent", "sent"]}},
        {"confirmations": {"order-1": ["pending"]}},
        {"mails": []},
        {"mails": [a_mail(1), a_mail(1)]},
        {"mails": [a_mail(1, "Order {} cancelled")]},
        {"mails": [a_mail(11)]},
        {"stock": stock(violations=["Product 1 has 3 on hand; its ledger says 4."])},
        {"stock": stock(units_sold=3)},
        {"outboxes": {"order": 10.5, "catalog": 0.0}},
    ],
)
def test_a_broken_promise_is_found(changes):
    assert faults(**changes)


def test_a_key_that_made_two_orders_is_found():
    two = {
        "orders": [an_order(1), an_order(2)],
        "reservations": {"order-1": "sold", "order-2": "sold"},
        "confirmations": {"order-1": ["sent"], "order-2": ["sent"]},
        "mails": [a_mail(1), a_mail(2)],
        "stock": stock(units_sold=4),
    }

    found = faults(**two, acknowledged=[Acknowledged("key-1", "order-1"), Acknowledged("key-1", "order-2")])

    assert found == ["key key-1 has 2 orders: order-1, order-2"]


def test_the_same_answer_given_twice_under_one_key_is_one_order():
    assert faults(acknowledged=[Acknowledged("key-1", "order-1")] * 3) == []


def test_a_confirmation_of_a_cancelled_order_that_arrived_twice_is_found():
    changes = {
        "orders": [an_order(1, status="cancelled")],
        "reservations": {"order-1": "released"},
        "stock": stock(units_sold=0),
        "mails": [a_mail(1), a_mail(1)],
    }

    assert len(faults(**changes)) == 1
