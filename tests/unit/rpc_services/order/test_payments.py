import pytest

from rpc_services.order.payments import NoPayments, TestPayments, payments_of
from shared.contracts.order import PaymentDeclined
from shared.contracts.refusals import InvalidRequest
from shared.values.money import Money

FIVE = Money(500, "EUR")


def test_without_a_provider_orders_are_paid_on_delivery():
    assert payments_of("none").authorize("o", FIVE, None) == "pending"


def test_without_a_provider_a_token_is_refused_by_name():
    with pytest.raises(InvalidRequest) as refusal:
        NoPayments().check("tok_approve")

    assert [fault["pointer"] for fault in refusal.value.details["errors"]] == ["/payment_token"]


@pytest.mark.parametrize(("token", "status"), [("tok_approve", "authorized"), (None, "pending")])
def test_the_test_provider_does_as_its_token_says(token, status):
    payments = payments_of("test")
    payments.check(token)

    assert payments.authorize("o", FIVE, token) == status


def test_the_test_provider_declines_on_demand():
    TestPayments().check("tok_decline")

    with pytest.raises(PaymentDeclined):
        TestPayments().authorize("o", FIVE, "tok_decline")


def test_the_test_provider_refuses_tokens_it_never_gave_out():
    with pytest.raises(InvalidRequest):
        TestPayments().check("tok_stolen")
