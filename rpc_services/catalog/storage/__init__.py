"""The ports of the catalog fulfilled with PostgreSQL."""

from rpc_services.catalog.storage.books import SqlBooks
from rpc_services.catalog.storage.events import OutboxEvents
from rpc_services.catalog.storage.holds import SqlHolds
from rpc_services.catalog.storage.imports import SqlImports
from rpc_services.catalog.storage.listings import SqlListings
from rpc_services.catalog.storage.products import LoadedProducts, SqlProducts, rows_of
from rpc_services.catalog.storage.stock import SqlStocks

__all__ = [
    "LoadedProducts",
    "OutboxEvents",
    "SqlBooks",
    "SqlHolds",
    "SqlImports",
    "SqlListings",
    "SqlProducts",
    "SqlStocks",
    "rows_of",
]
