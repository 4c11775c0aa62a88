"""The way in for many products at once: one statement per batch, whatever its length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from rpc_services.catalog.domain import CheckedRow, Product
from rpc_services.catalog.storage.products import WHOLE_PRODUCTS, any_of, product_of
from rpc_services.catalog.tables import categories, products

Path = tuple[str, ...]

LOAD = text("""
    WITH rows AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS row (
            sku text, name text, description text, price_minor bigint, currency text, image text,
            category_id integer, on_hand bigint
        )
    ), updated AS (
        UPDATE products SET
            name = rows.name, description = rows.description, price_minor = rows.price_minor,
            currency = rows.currency, image = rows.image, category_id = rows.category_id,
            version = products.version + 1, updated_at = :at
        FROM rows
        WHERE products.sku = rows.sku AND products.deleted_at IS NULL
          AND (products.name, products.description, products.price_minor, products.currency, products.image,
               products.category_id)
              IS DISTINCT FROM
              (rows.name, rows.description, rows.price_minor, rows.currency, rows.image, rows.category_id)
        RETURNING products.id
    ), inserted AS (
        INSERT INTO products
            (sku, name, description, price_minor, currency, image, category_id, created_at, updated_at)
        SELECT sku, name, description, price_minor, currency, image, category_id, :at, :at FROM rows
        WHERE NOT EXISTS (SELECT FROM products WHERE products.sku = rows.sku AND products.deleted_at IS NULL)
        ORDER BY sku
        ON CONFLICT (sku) WHERE deleted_at IS NULL DO NOTHING
        RETURNING id, sku
    ), stocked AS (
        INSERT INTO stock (product_id, on_hand) SELECT id, on_hand FROM inserted JOIN rows USING (sku)
        RETURNING product_id, on_hand
    ), recorded AS (
        INSERT INTO stock_movements (product_id, change, reason, at)
        SELECT product_id, on_hand, 'counted', :at FROM stocked WHERE on_hand > 0
    )
    SELECT (SELECT count(*) FROM inserted) AS inserted,
           (SELECT coalesce(array_agg(id ORDER BY id), '{}') FROM updated) AS updated
""")


class SqlImports:
    """Fulfils ``Imports``."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def upsert(self, rows: Sequence[CheckedRow], at: datetime) -> tuple[int, list[Product]]:
        """Known products are locked in the order of their skus first, so that two loads cannot block each other."""
        ids = self._category_ids(tuple(checked.row.category) for checked in rows)
        known = select(products.c.id).where(
            products.c.deleted_at.is_(None), any_of(products.c.sku, [checked.row.sku for checked in rows])
        )
        self._session.execute(known.order_by(products.c.sku).with_for_update(key_share=True))
        plain = [_plain(checked, ids[tuple(checked.row.category)]) for checked in rows]
        done = self._session.execute(LOAD, {"rows": msgspec.json.encode(plain).decode(), "at": at}).one()
        return done.inserted, self._changed(done.updated)

    def _changed(self, product_ids: Sequence[int]) -> list[Product]:
        if not product_ids:
            return []
        query = WHOLE_PRODUCTS.where(any_of(products.c.id, product_ids)).order_by(products.c.id)
        return [product_of(row) for row in self._session.execute(query)]

    def _category_ids(self, paths: Iterable[Path]) -> dict[Path, int]:
        """The id of every path, level by level; categories that do not exist yet are made."""
        wanted = set(paths)
        ids: dict[Path, int] = {}
        for depth in range(1, max(map(len, wanted)) + 1):
            level = sorted({path[:depth] for path in wanted if len(path) >= depth})
            known = {(row.parent_id, row.name): row.id for row in self._level(ids, depth)}
            missing = [path for path in level if (ids.get(path[:-1]), path[-1]) not in known]
            if missing:
                self._create(missing, ids)
                known = {(row.parent_id, row.name): row.id for row in self._level(ids, depth)}
            ids.update({path: known[ids.get(path[:-1]), path[-1]] for path in level})
        return ids

    def _level(self, ids: dict[Path, int], depth: int) -> Iterable[Any]:
        parents = [category_id for path, category_id in ids.items() if len(path) == depth - 1]
        among = any_of(categories.c.parent_id, parents) if depth > 1 else categories.c.parent_id.is_(None)
        return self._session.execute(select(categories).where(among)).all()

    def _create(self, paths: Sequence[Path], ids: dict[Path, int]) -> None:
        rows = [{"parent_id": ids.get(path[:-1]), "name": path[-1]} for path in paths]
        self._session.execute(upsert(categories).on_conflict_do_nothing(), rows)


def _plain(checked: CheckedRow, category_id: int) -> dict[str, Any]:
    row = checked.row
    return {
        "sku": row.sku,
        "name": row.name,
        "description": row.description,
        "price_minor": checked.price.minor_units,
        "currency": checked.price.currency,
        "image": row.image,
        "category_id": category_id,
        "on_hand": row.stock,
    }
