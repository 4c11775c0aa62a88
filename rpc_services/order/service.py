"""The doors of the order service: each opens what it needs, calls one use case and answers."""

from __future__ import annotations

from rpc_services.order import use_cases
from rpc_services.order.assembly import RemoteCarts, cancelled_now, opening_of, saga_for
from rpc_services.order.saga import Saga
from rpc_services.order.settings import Settings, read_settings
from rpc_services.order.storage import LoadedOrders, SqlBooks, SqlOrders, rows_of
from shared.contracts import order
from shared.contracts.method import CheckHealth, Health
from shared.messaging.call import current
from shared.messaging.transactions import Scope
from shared.metrics import trade
from shared.nameko_ext import Configured, HealthReport, Loaded, Outbox, Remote, RemoteService, Ticker, Transactions, rpc
from shared.values.times import now

MOST_RESUMED = 20

trade.tell_orders()


class Service:
    """What somebody bought."""

    name = "order"
    settings: Settings = Configured(read_settings)
    transactions: Scope = Transactions()
    order_rows = Loaded(rows_of)
    catalog: RemoteService = Remote("catalog")
    cart: RemoteService = Remote("cart")
    outbox = Outbox()
    health = HealthReport("database")

    @rpc(order.PLACE_ORDER)
    def place_order(self, request: order.PlaceOrder) -> order.Order:
        """Several transactions, so not ``once``: the saga keeps the operation's record itself."""
        return use_cases.place_order(request, saga=self._saga(), opening=opening_of(current()))

    @rpc(order.CHECKOUT)
    def checkout(self, request: order.Checkout) -> order.Order:
        """As :meth:`place_order`, with what the cart holds."""
        opening, carts = opening_of(current()), RemoteCarts(self.cart)
        return use_cases.checkout(request, saga=self._saga(), opening=opening, carts=carts)

    @rpc(order.GET_ORDER)
    def get_order(self, request: order.GetOrder) -> order.Order:
        """One of the buyer's own."""
        return use_cases.get_order(request, orders=LoadedOrders(self.order_rows))

    @rpc(order.GET_ORDERS)
    def get_orders(self, request: order.GetOrders) -> list[order.Order]:
        """Many of the buyer's own."""
        with self.transactions.reading() as session:
            return use_cases.get_orders(request, orders=SqlOrders(session))

    @rpc(order.LIST_ORDERS)
    def list_orders(self, request: order.ListOrders) -> order.OrderPage:
        """A page of the buyer's own."""
        with self.transactions.reading() as session:
            return use_cases.list_orders(request, orders=SqlOrders(session))

    @rpc(order.CANCEL_ORDER)
    def cancel_order(self, request: order.CancelOrder) -> order.Order:
        """Until it is shipped. A repetition leaves the money to the first run, or to the sweeper if that died."""
        cancelled = self.transactions.once(
            lambda session: use_cases.cancel_order(request, orders=SqlOrders(session), clock=now)
        )
        if not current().marks.replayed:
            cancelled_now(cancelled)
            self._saga().after_cancelling(request.order_id)
        return cancelled

    @rpc(order.GET_ORDER_HISTORY)
    def get_order_history(self, request: order.GetOrderHistory) -> list[order.Transition]:
        """How it came to be as it is."""
        with self.transactions.reading() as session:
            return use_cases.get_order_history(request, orders=SqlOrders(session))

    @rpc(order.AUDIT_ORDERS)
    def audit_orders(self, request: order.AuditOrders) -> order.OrdersAudit:
        """What the checker asks."""
        with self.transactions.reading() as session:
            return use_cases.audit_orders(request, books=SqlBooks(session, clock=now))

    @rpc(order.METHODS.CHECK_HEALTH)
    def check_health(self, request: CheckHealth) -> Health:
        """Whether orders can be taken."""
        del request
        return self.health.report()

    @Ticker(seconds=2)
    def resume_orders(self) -> None:
        """Finish what a crash or an outage left half-way."""
        use_cases.resume_orders(saga=self._saga(), most=MOST_RESUMED)

    def _saga(self) -> Saga:
        return saga_for(current(), scope=self.transactions, catalog_service=self.catalog, settings=self.settings)
