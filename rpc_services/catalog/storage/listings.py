"""Products in order: every page is a range of an index behind the last product of the page before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Float, Select, cast, exists, func, literal, literal_column, select, tuple_
from sqlalchemy.orm import Session

from rpc_services.catalog.domain import Category, Product
from rpc_services.catalog.paging import Filters, Match, Position
from rpc_services.catalog.storage.products import WHOLE_PRODUCTS, any_of, product_of
from rpc_services.catalog.tables import NAME_KEY, categories, products, stock
from shared.persistence.ahead import put_ahead

ALIKE = "SET LOCAL pg_trgm.word_similarity_threshold = 0.4; "
"""One wrong letter in a word of eight leaves less than the half of its trigrams."""


@dataclass(frozen=True)
class Order:
    """What a list is sorted by before the id; ids go the same way."""

    key: ColumnElement[Any] | None
    descending: bool = False


class SqlListings:
    """Fulfils ``Listings``."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def page(self, filters: Filters, after: Position, limit: int) -> list[tuple[Product, Position]]:
        """One row more than a page tells whether there is another, without counting."""
        order = _order_of(after, filters.words)
        key = literal(None) if order.key is None else order.key
        query = WHOLE_PRODUCTS.add_columns(key.label("key")).where(*self._conditions(filters, after.match))
        query = _sorted(query, order, after).limit(limit)
        if after.match == "likeness":
            put_ahead(self._session, ALIKE)
        rows = self._session.execute(query).all()
        return [
            (product_of(row), Position(order=after.order, match=after.match, key=row.key, id=row.id)) for row in rows
        ]

    def has_words(self, words: str) -> bool:
        """Whether the full-text index knows them together in one product."""
        found = exists().where(products.c.deleted_at.is_(None), _matches("words", words))
        return bool(self._session.execute(select(found)).scalar_one())

    def categories(self) -> list[Category]:
        """By name."""
        rows = self._session.execute(select(categories).order_by(categories.c.name, categories.c.id))
        return [Category(row.id, row.parent_id, row.name, row.description) for row in rows]

    def ids_by_sku(self, skus: Sequence[str]) -> dict[str, int]:
        """Of products on sale."""
        query = select(products.c.sku, products.c.id).where(
            products.c.deleted_at.is_(None), any_of(products.c.sku, skus)
        )
        return {row.sku: row.id for row in self._session.execute(query)}

    def _conditions(self, filters: Filters, match: Match) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = []
        if filters.category_id is not None:
            conditions.append(any_of(products.c.category_id, self._descendants(filters.category_id)))
        if filters.words is not None:
            conditions.append(_matches(match, filters.words))
        if filters.min_price is not None:
            conditions.append(products.c.price_minor >= filters.min_price)
        if filters.max_price is not None:
            conditions.append(products.c.price_minor <= filters.max_price)
        if filters.min_price is not None or filters.max_price is not None:
            conditions.append(products.c.currency == filters.currency)
        if filters.in_stock is not None:
            conditions.append((stock.c.on_hand > stock.c.reserved) == filters.in_stock)
        return conditions

    def _descendants(self, category_id: int) -> list[int]:
        below = select(categories.c.id).where(categories.c.id == category_id).cte("below", recursive=True)
        below = below.union(select(categories.c.id).join(below, categories.c.parent_id == below.c.id))
        return list(self._session.execute(select(below.c.id)).scalars())


def _order_of(position: Position, words: str | None) -> Order:
    match position.order:
        case "newest":
            return Order(None, descending=True)
        case "name":
            return Order(literal_column(NAME_KEY.replace("name", "products.name")))
        case "price":
            return Order(products.c.price_minor)
        case "-price":
            return Order(products.c.price_minor, descending=True)
        case "relevance" if words:
            return Order(-_relevance(position.match, words))
    return Order(None)


def _relevance(match: Match, words: str) -> ColumnElement[float]:
    if match == "likeness":
        return cast(func.word_similarity(words, products.c.name), Float(53))
    return cast(func.ts_rank(products.c.search, _query(words)), Float(53))


def _matches(match: Match, words: str) -> ColumnElement[bool]:
    if match == "likeness":
        return literal(words).op("<%", is_comparison=True)(products.c.name)
    return products.c.search.op("@@", is_comparison=True)(_query(words))


def _query(words: str) -> ColumnElement[Any]:
    return func.websearch_to_tsquery(literal_column("'english'::regconfig"), words)


def _sorted(query: Select[Any], order: Order, after: Position) -> Select[Any]:
    keys = [products.c.id] if order.key is None else [order.key, products.c.id]
    if after.id is not None:
        last = [literal(after.id)] if order.key is None else [literal(after.key), literal(after.id)]
        here, there = tuple_(*keys), tuple_(*last)
        query = query.where(here < there if order.descending else here > there)
    return query.order_by(*(key.desc() if order.descending else key.asc() for key in keys))
