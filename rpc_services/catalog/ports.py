"""What the use cases of the catalog need from the world, named for what it holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from rpc_services.catalog.domain import Category, CheckedRow, Demand, Draft, Hold, Move, Product, Stock
from rpc_services.catalog.paging import Filters, Position
from shared.contracts.catalog import ReservedLine


class OnSale(Protocol):
    """What is on sale. Products that were taken off sale are not found here."""

    def find(self, product_ids: Sequence[int]) -> list[Product]:
        """Those of them that exist, in the order of their ids."""


class Products(OnSale, Protocol):
    """The same, within one transaction, and how it is changed."""

    def lock(self, product_id: int) -> Product | None:
        """One product with its stock, locked until the transaction ends."""

    def add(self, draft: Draft) -> Product:
        """Give it an id and its stock. Raises ``SkuTaken``."""

    def save(self, before: Product, after: Product) -> None:
        """Write a locked product; what changed of its stock goes to the ledger too. Raises ``SkuTaken``."""

    def remove(self, product: Product) -> None:
        """Take it off sale as of its ``updated_at``."""

    def category(self, category_id: int) -> Category | None:
        """The category, if there is one."""


class Listings(Protocol):
    """Products in order, page by page."""

    def page(self, filters: Filters, after: Position, limit: int) -> list[tuple[Product, Position]]:
        """The next ``limit`` products behind ``after``, each with its own position."""

    def has_words(self, words: str) -> bool:
        """Whether the words are found in any product at all."""

    def categories(self) -> list[Category]:
        """All of them, by name."""

    def ids_by_sku(self, skus: Sequence[str]) -> dict[str, int]:
        """The ids of those that exist."""


class Stocks(Protocol):
    """What lies in the store, changed together with its ledger."""

    def lock(self, product_ids: Iterable[int]) -> dict[int, Stock]:
        """Lock the stock of these products, in the order of their ids, until the transaction ends."""

    def move(self, demand: Demand, move: Move, *, order_id: str, at: datetime) -> None:
        """Move locked stock for an order."""


class Holds(Protocol):
    """The stock of orders."""

    def claim(self, hold: Hold, at: datetime) -> Hold | None:
        """Write the hold if its order has none yet (``None``), else lock and give the one there is."""

    def lock(self, order_id: str) -> Hold | None:
        """The hold of this order, locked until the transaction ends."""

    def lock_overdue(self, at: datetime, limit: int) -> list[Hold]:
        """Holds that should have ended by now and that nobody else is working on, locked."""

    def write_lines(self, order_id: str, lines: Sequence[ReservedLine]) -> None:
        """What is held."""

    def lines(self, order_id: str) -> list[ReservedLine]:
        """What is or was held, with the products as they were then."""

    def turn(self, hold: Hold, at: datetime) -> None:
        """Write its state and expiry."""


class Events(Protocol):
    """What others learn of changes, once the transaction is committed."""

    def product_changed(self, product: Product) -> None:
        """It was created, changed or taken off sale."""


class Imports(Protocol):
    """The way in for many products at once."""

    def upsert(self, rows: Sequence[CheckedRow], at: datetime) -> tuple[int, list[Product]]:
        """How many products are new, and those that were changed. Skus are distinct."""


class Books(Protocol):
    """What an auditor reads."""

    def count_products(self) -> int:
        """How many are on sale."""

    def violations(self) -> list[str]:
        """A sentence for everything that does not add up."""

    def states(self, after_order_id: str, limit: int) -> dict[str, str]:
        """A page of orders, by id, with the state of their stock."""

    def units_sold(self) -> int:
        """Units sold and not given back."""

    def oldest_outbox_seconds(self) -> float:
        """How long the oldest unpublished event has waited."""
