"""The doors of the catalog."""

from __future__ import annotations

from typing import Any

import structlog

from rpc_services.catalog import use_cases
from rpc_services.catalog.counts import counting_holds
from rpc_services.catalog.settings import read_settings
from rpc_services.catalog.storage import (
    LoadedProducts,
    OutboxEvents,
    SqlBooks,
    SqlHolds,
    SqlImports,
    SqlListings,
    SqlProducts,
    SqlStocks,
    rows_of,
)
from shared.contracts import catalog, events
from shared.contracts.method import Health
from shared.messaging.call import current
from shared.metrics import trade
from shared.nameko_ext import Configured, HealthReport, Loaded, Outbox, Ticker, Transactions, on_event, rpc
from shared.values.times import now

log = structlog.get_logger()

trade.tell_holds()


class CatalogService:
    """What the shop sells, how much of it there is, and for whom it is held.

    Doors that change something give ``Any``: a repetition gets its first answer as the plain JSON that was kept.
    """

    name = "catalog"

    settings = Configured(read_settings)
    transactions = Transactions()
    product_row = Loaded(rows_of)
    outbox = Outbox()
    health = HealthReport("database")

    @rpc(catalog.METHODS.CHECK_HEALTH)
    def check_health(self, request: Any) -> Health:
        """Whether the database and the broker answer."""
        del request
        return self.health.report()

    @rpc(catalog.GET_PRODUCT)
    def get_product(self, request: catalog.GetProduct) -> catalog.Product:
        """One product."""
        return use_cases.get_product(request, products=LoadedProducts(self.product_row))

    @rpc(catalog.GET_PRODUCTS)
    def get_products(self, request: catalog.GetProducts) -> list[catalog.Product]:
        """Many products at once."""
        with self.transactions.reading() as session:
            return use_cases.get_products(request, products=SqlProducts(session))

    @rpc(catalog.LIST_PRODUCTS)
    def list_products(self, request: catalog.ListProducts) -> catalog.ProductPage:
        """A page of products."""
        with self.transactions.reading() as session:
            listings = SqlListings(session)
            return use_cases.list_products(request, listings=listings, currency=self.settings.currency)

    @rpc(catalog.LIST_CATEGORIES)
    def list_categories(self, request: catalog.ListCategories) -> list[catalog.CategoryNode]:
        """The tree of categories."""
        del request
        with self.transactions.reading() as session:
            return use_cases.list_categories(listings=SqlListings(session))

    @rpc(catalog.CREATE_PRODUCT)
    def create_product(self, request: catalog.CreateProduct) -> Any:
        """Put a product on sale."""
        return self.transactions.once(
            lambda session: use_cases.create_product(
                request, products=SqlProducts(session), events=OutboxEvents(session), clock=now
            )
        )

    @rpc(catalog.UPDATE_PRODUCT)
    def update_product(self, request: catalog.UpdateProduct) -> Any:
        """Change a product."""
        return self.transactions.once(
            lambda session: use_cases.update_product(
                request,
                products=SqlProducts(session),
                events=OutboxEvents(session),
                clock=now,
                seen_stock=current().beside_version,
            )
        )

    @rpc(catalog.DELETE_PRODUCT)
    def delete_product(self, request: catalog.DeleteProduct) -> Any:
        """Take a product off sale."""
        return self.transactions.once(
            lambda session: use_cases.delete_product(
                request, products=SqlProducts(session), events=OutboxEvents(session), clock=now
            )
        )

    @rpc(catalog.SET_STOCK)
    def set_stock(self, request: catalog.SetStock) -> Any:
        """Compare-and-set of what is on hand."""
        return self.transactions.once(
            lambda session: use_cases.set_stock(
                request, products=SqlProducts(session), events=OutboxEvents(session), clock=now
            )
        )

    @rpc(catalog.RESERVE_STOCK)
    def reserve_stock(self, request: catalog.ReserveStock) -> Any:
        """Hold stock for an order."""
        with counting_holds("reserved", current()):
            return self.transactions.once(
                lambda session: use_cases.reserve_stock(
                    request,
                    products=SqlProducts(session),
                    stocks=SqlStocks(session),
                    holds=SqlHolds(session),
                    clock=now,
                )
            )

    @rpc(catalog.CONFIRM_STOCK)
    def confirm_stock(self, request: catalog.ConfirmStock) -> Any:
        """Sell what is held for an order."""
        with counting_holds("sold", current()):
            return self.transactions.once(
                lambda session: use_cases.confirm_stock(
                    request, stocks=SqlStocks(session), holds=SqlHolds(session), clock=now
                )
            )

    @rpc(catalog.RELEASE_STOCK)
    def release_stock(self, request: catalog.ReleaseStock) -> Any:
        """Give back what an order held or bought."""
        with counting_holds("released", current()):
            return self.transactions.once(
                lambda session: use_cases.release_stock(
                    request.order_id, stocks=SqlStocks(session), holds=SqlHolds(session), clock=now
                )
            )

    @on_event(events.ORDER_CANCELLED)
    def on_order_cancelled(self, event: events.Event, order: events.OrderCancelled) -> None:
        """What a cancelled order bought is for sale again."""
        del event
        with counting_holds("released", current()), self.transactions.writing() as session:
            use_cases.release_stock(order.order_id, stocks=SqlStocks(session), holds=SqlHolds(session), clock=now)

    @Ticker(seconds=5)
    def expire_holds(self) -> None:
        """Let go of what was held too long, a batch per transaction."""
        expired = ["?"]
        while expired:
            with self.transactions.writing() as session:
                expired = use_cases.expire_holds(stocks=SqlStocks(session), holds=SqlHolds(session), clock=now)
            trade.held("expired", len(expired))
            for order_id in expired:
                log.info("catalog.hold_expired", order_id=order_id)

    @Ticker(seconds=15)
    def measure_stock(self) -> None:
        """For those who watch the shop."""
        with self.transactions.reading() as session:
            reserved, gone = SqlBooks(session).stock_figures()
        trade.stock_reserved.set(reserved)
        trade.stock_gone.set(gone)

    @rpc(catalog.LOAD_PRODUCTS)
    def load_products(self, request: catalog.LoadProducts) -> Any:
        """Insert or update many products."""
        return self.transactions.once(
            lambda session: use_cases.load_products(
                request, imports=SqlImports(session), events=OutboxEvents(session), clock=now
            )
        )

    @rpc(catalog.LIST_SKUS)
    def list_skus(self, request: catalog.ListSkus) -> dict[str, int]:
        """Product ids by sku."""
        with self.transactions.reading() as session:
            return use_cases.list_skus(request, listings=SqlListings(session))

    @rpc(catalog.AUDIT_STOCK)
    def audit_stock(self, request: catalog.AuditStock) -> catalog.StockAudit:
        """Whether everything adds up."""
        with self.transactions.reading() as session:
            return use_cases.audit_stock(request, books=SqlBooks(session))


Service = CatalogService
"""What the runner looks for in every service."""
