"""Takes payment by whichever provider the shop has; so far none, or one for tests that obeys magic tokens."""

from __future__ import annotations

from rpc_services.order.domain import PaymentStatus
from rpc_services.order.saga import Payments
from shared.contracts.order import PaymentDeclined
from shared.contracts.refusals import InvalidRequest
from shared.values.money import Money

APPROVE = "tok_approve"
DECLINE = "tok_decline"


class NoPayments:
    """Everybody pays on delivery."""

    def check(self, token: str | None) -> None:
        """There is nobody who could take a token. Raises :class:`InvalidRequest`."""
        if token is not None:
            raise _bad_token("No payment provider is set up: orders are paid on delivery.")

    def authorize(self, order_id: str, amount: Money, token: str | None) -> PaymentStatus:
        """Nothing is taken now."""
        del order_id, amount, token
        return PaymentStatus.PENDING

    def void(self, order_id: str) -> None:
        """Nothing was taken."""


class TestPayments:
    """A provider whose token says how it ends. Without one the order is paid on delivery."""

    __test__ = False  # no test case, whatever pytest makes of the name

    def check(self, token: str | None) -> None:
        """Raises :class:`InvalidRequest` for a token that nobody gave out."""
        if token not in {None, APPROVE, DECLINE}:
            raise _bad_token("The payment provider does not know this token.")

    def authorize(self, order_id: str, amount: Money, token: str | None) -> PaymentStatus:
        """The same answer for the same order, however often. Raises :class:`PaymentDeclined`."""
        del order_id, amount
        if token == DECLINE:
            raise PaymentDeclined
        return PaymentStatus.AUTHORIZED if token == APPROVE else PaymentStatus.PENDING

    def void(self, order_id: str) -> None:
        """No money was moved."""


def payments_of(kind: str) -> Payments:
    """The provider of that name: ``none`` or ``test``."""
    return TestPayments() if kind == "test" else NoPayments()


def _bad_token(detail: str) -> InvalidRequest:
    return InvalidRequest(errors=[{"pointer": "/payment_token", "detail": detail}])
