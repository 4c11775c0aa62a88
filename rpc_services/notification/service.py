"""The doors of notification: events come in, messages go out, and callers may ask what became of them."""

from __future__ import annotations

from datetime import timedelta

from rpc_services.notification import use_cases
from rpc_services.notification.assembly import Assembly, assemble, known
from rpc_services.notification.storage import SqlDeliveries
from rpc_services.notification.use_cases import Shift
from shared.contracts import events, identity, notification
from shared.contracts.method import CheckHealth, Health
from shared.messaging.transactions import Scope
from shared.nameko_ext import Configured, HealthReport, Remote, RemoteService, Ticker, Transactions, on_event, rpc
from shared.nameko_ext.bell import Bell
from shared.nameko_ext.ticker import within

BATCH = 20
LONGEST_POSTING = timedelta(seconds=30)
POLL_SECONDS = 1.0


class Rounds(Ticker):
    """Ticks until the process is told to stop, which ends the shift: a run may last longer than a stop waits.

    How long it may last depends on the mail server, which no clock knows: it bounds itself.
    """

    def __init__(self, *, seconds: float, shift: Shift) -> None:
        super().__init__(seconds=seconds, longest=None)
        self._shift = shift

    def stop(self) -> None:
        """Before the container waits for what runs."""
        super().stop()
        self._shift.end()


class Service:
    """What customers are told."""

    name = "notification"
    queued = Bell()
    shift = Shift()
    parts: Assembly = Configured(assemble)
    transactions: Scope = Transactions()
    identity: RemoteService = Remote("identity")
    health = HealthReport("database")

    @on_event(known(events.ORDER_PLACED))
    def on_order_placed(self, event: events.Event, order: events.OrderPlaced) -> None:
        """Write the confirmation, in the transaction that notes the event as handled."""
        with self.transactions.writing() as transaction:
            self.parts.clerk(transaction, self._address_of, self.queued.ring).confirm_order(event, order)

    @on_event(known(events.ORDER_CANCELLED))
    def on_order_cancelled(self, event: events.Event, order: events.OrderCancelled) -> None:
        """Write the cancellation, likewise."""
        with self.transactions.writing() as transaction:
            self.parts.clerk(transaction, self._address_of, self.queued.ring).confirm_cancellation(event, order)

    @Rounds(seconds=0.05, shift=shift)
    def post(self) -> None:
        """Send what is due: at once when something was queued here, else after a second at most.

        It is stopped when its last lease is over, and no sooner: a letter cut off at the server's last word goes twice.
        """
        self.queued.wait(POLL_SECONDS)
        postman = self.parts.postman(self.transactions)
        with within(LONGEST_POSTING + postman.lease.whole):
            self.shift.send(postman, batch=BATCH, at_most=LONGEST_POSTING)

    @rpc(notification.LIST_NOTIFICATIONS)
    def list_notifications(self, request: notification.ListNotifications) -> notification.NotificationPage:
        """What was sent to a user."""
        with self.transactions.reading() as transaction:
            return use_cases.list_notifications(request, deliveries=SqlDeliveries(transaction))

    @rpc(notification.AUDIT_DELIVERIES)
    def audit_deliveries(self, request: notification.AuditDeliveries) -> notification.DeliveriesAudit:
        """What the checker wants to know."""
        with self.transactions.reading() as transaction:
            return use_cases.audit_deliveries(request, deliveries=SqlDeliveries(transaction))

    @rpc(notification.METHODS.CHECK_HEALTH)
    def check_health(self, request: CheckHealth) -> Health:
        """Whether notification can do its work."""
        del request
        return self.health.report()

    def _address_of(self, user_id: str) -> str:
        user: identity.User = self.identity.call(identity.GET_USER, identity.GetUser(user_id=user_id))
        return user.email
