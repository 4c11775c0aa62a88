"""Products one by one, or a handful by their ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Row, Select, any_, bindparam, func, insert, literal, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from rpc_services.catalog.domain import Category, Draft, Product, Reason, Stock
from rpc_services.catalog.tables import categories, products, stock, stock_movements
from shared.contracts.catalog import SkuTaken
from shared.values.money import Money

SKU_KEY = "uq_products_sku"
NEXT_ID = func.nextval(func.pg_get_serial_sequence("products", "id"))


_KEPT = [column for column in products.c if column.name not in {"search", "deleted_at"}]

WHOLE_PRODUCTS: Select[Any] = (
    select(
        *_KEPT,
        categories.c.parent_id.label("category_parent_id"),
        categories.c.name.label("category_name"),
        categories.c.description.label("category_description"),
        stock.c.on_hand,
        stock.c.reserved,
    )
    .join(categories, categories.c.id == products.c.category_id)
    .join(stock, stock.c.product_id == products.c.id)
    .where(products.c.deleted_at.is_(None))
)
"""Products on sale with their category and stock: what :func:`product_of` reads."""

_ONE = WHOLE_PRODUCTS.where(products.c.id == bindparam("product_id"))
_SEVERAL = WHOLE_PRODUCTS.where(products.c.id == any_(bindparam("product_ids", type_=ARRAY(products.c.id.type))))
"""Written once: to build a statement, and to find out that it is a known one, takes as long as to run it."""


def product_of(row: Row[Any]) -> Product:
    """Read a row of ``WHOLE_PRODUCTS``."""
    return Product(
        id=row.id,
        sku=row.sku,
        name=row.name,
        description=row.description,
        price=Money(row.price_minor, row.currency),
        image=row.image,
        category=Category(row.category_id, row.category_parent_id, row.category_name, row.category_description),
        stock=Stock(row.on_hand, row.reserved),
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def any_of(column: ColumnElement[Any], values: Sequence[Any]) -> ColumnElement[bool]:
    """One array parameter, so that the statement stays the same however many values there are."""
    one_of_them: ColumnElement[bool] = column == any_(literal(list(values), ARRAY(column.type)))
    # an index can give its own order only behind a single value
    return column == values[0] if len(values) == 1 else one_of_them


def rows_of(session: Session, product_ids: Sequence[int]) -> dict[int, Row[Any]]:
    """The rows of those that are on sale, by id: all that is asked of the database for many who ask for one each."""
    if len(product_ids) == 1:
        found = session.execute(_ONE, {"product_id": product_ids[0]})
    else:
        found = session.execute(_SEVERAL, {"product_ids": list(product_ids)})
    return {row.id: row for row in found}


class LoadedProducts:
    """Fulfils ``OnSale`` with rows that ``load`` fetches one by one, or together with others' rows."""

    def __init__(self, load: Callable[[int], Row[Any] | None]) -> None:
        self._load = load

    def find(self, product_ids: Sequence[int]) -> list[Product]:
        """In the order of their ids."""
        rows = [self._load(product_id) for product_id in sorted(set(product_ids))]
        return [product_of(row) for row in rows if row is not None]


class SqlProducts:
    """Fulfils ``Products``."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self, product_ids: Sequence[int]) -> list[Product]:
        """By the primary key, in its order."""
        query = WHOLE_PRODUCTS.where(any_of(products.c.id, product_ids)).order_by(products.c.id)
        return [product_of(row) for row in self._session.execute(query)]

    def lock(self, product_id: int) -> Product | None:
        """Lock the product first, then read: what a waiter reads must be what the one before it wrote."""
        product_lock = select(products.c.id).where(products.c.id == product_id).with_for_update(key_share=True)
        stock_lock = select(stock.c.product_id).where(stock.c.product_id == product_id).with_for_update(key_share=True)
        self._session.execute(product_lock)
        self._session.execute(stock_lock)
        found = self.find([product_id])
        return found[0] if found else None

    def add(self, draft: Draft) -> Product:
        """Insert product, stock and the first line of the ledger. Raises :class:`SkuTaken`."""
        product_id = self._next_id(draft.sku)
        product = Product(
            id=product_id,
            sku=draft.sku or f"K-{product_id}",
            name=draft.name,
            description=draft.description,
            price=draft.price,
            image=draft.image,
            category=draft.category,
            stock=draft.stock,
            version=1,
            created_at=draft.at,
            updated_at=draft.at,
        )
        self._write(insert(products).values(id=product.id, created_at=draft.at, **_columns_of(product)), product)
        self._session.execute(insert(stock).values(product_id=product.id, on_hand=draft.stock.on_hand))
        self._record(product, draft.stock.on_hand)
        return product

    def save(self, before: Product, after: Product) -> None:
        """Update the product and, if it changed, its stock. Raises :class:`SkuTaken`."""
        self._write(update(products).where(products.c.id == after.id).values(**_columns_of(after)), after)
        if after.stock != before.stock:
            counted = update(stock).where(stock.c.product_id == after.id).values(on_hand=after.stock.on_hand)
            self._session.execute(counted)
            self._record(after, after.stock.on_hand - before.stock.on_hand)

    def remove(self, product: Product) -> None:
        """Mark it as deleted; orders, holds and the ledger still point to it."""
        gone = {"version": product.version, "updated_at": product.updated_at, "deleted_at": product.updated_at}
        self._session.execute(update(products).where(products.c.id == product.id).values(**gone))

    def category(self, category_id: int) -> Category | None:
        """By its id."""
        row = self._session.execute(select(categories).where(categories.c.id == category_id)).one_or_none()
        return Category(row.id, row.parent_id, row.name, row.description) if row else None

    def _next_id(self, sku: str | None) -> int:
        """Without a sku, the next id whose own sku nobody has taken by hand."""
        while True:
            product_id = int(self._session.execute(select(NEXT_ID)).scalar_one())
            made = select(products.c.id).where(products.c.sku == f"K-{product_id}", products.c.deleted_at.is_(None))
            if sku or self._session.execute(made).first() is None:
                return product_id

    def _write(self, statement: Any, product: Product) -> None:
        try:
            with self._session.begin_nested():
                self._session.execute(statement)
        except IntegrityError as fault:
            if fault.orig.diag.constraint_name == SKU_KEY:  # type: ignore[union-attr]  # psycopg2's own member
                raise SkuTaken(sku=product.sku) from None
            raise

    def _record(self, product: Product, change: int) -> None:
        if change:
            counted = {"product_id": product.id, "change": change, "reason": Reason.COUNTED, "at": product.updated_at}
            self._session.execute(insert(stock_movements).values(**counted))


def _columns_of(product: Product) -> dict[str, Any]:
    return {
        "sku": product.sku,
        "name": product.name,
        "description": product.description,
        "price_minor": product.price.minor_units,
        "currency": product.price.currency,
        "image": product.image,
        "category_id": product.category.id,
        "version": product.version,
        "updated_at": product.updated_at,
    }
