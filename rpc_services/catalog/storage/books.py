"""What an auditor reads. Each check is one statement, hence one moment: it holds while orders pour in."""

from __future__ import annotations

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from rpc_services.catalog.tables import products, reservations
from shared.messaging import outbox

MOST_VIOLATIONS = 100

CHECKS = (
    text("""
        SELECT 'Product ' || id || ' has no stock row.' FROM products
        WHERE NOT EXISTS (SELECT FROM stock WHERE product_id = id) LIMIT :most
    """),
    text("""
        SELECT 'Product ' || product_id || ' has ' || on_hand || ' on hand and ' || reserved || ' reserved.'
        FROM stock WHERE reserved < 0 OR reserved > on_hand LIMIT :most
    """),
    text("""
        SELECT 'Product ' || product_id || ' has ' || on_hand || ' on hand; its ledger says '
            || coalesce(recorded, 0) || '.'
        FROM stock LEFT JOIN (
            SELECT product_id, sum(change) AS recorded FROM stock_movements GROUP BY product_id
        ) AS ledger USING (product_id)
        WHERE on_hand <> coalesce(recorded, 0) LIMIT :most
    """),
    text("""
        SELECT 'Product ' || product_id || ' has ' || reserved || ' reserved; its holds say '
            || coalesce(held, 0) || '.'
        FROM stock LEFT JOIN (
            SELECT product_id, sum(quantity) AS held
            FROM reservations JOIN reservation_lines USING (order_id)
            WHERE state = 'held' GROUP BY product_id
        ) AS holds USING (product_id)
        WHERE reserved <> coalesce(held, 0) LIMIT :most
    """),
    text("""
        SELECT 'Order ' || order_id || ' was sold ' || coalesce(bought, 0) || ' units; the ledger says '
            || coalesce(recorded, 0) || '.'
        FROM (
            SELECT order_id, sum(quantity) AS bought
            FROM reservations JOIN reservation_lines USING (order_id)
            WHERE state = 'sold' GROUP BY order_id
        ) AS sales FULL JOIN (
            SELECT order_id, -sum(change) AS recorded FROM stock_movements
            WHERE order_id IS NOT NULL GROUP BY order_id HAVING sum(change) <> 0
        ) AS ledger USING (order_id)
        WHERE coalesce(bought, 0) <> coalesce(recorded, 0) LIMIT :most
    """),
)
FIGURES = text("""
    SELECT coalesce(sum(reserved), 0), count(*) FILTER (WHERE reserved = on_hand AND deleted_at IS NULL)
    FROM stock JOIN products ON products.id = product_id
""")
UNITS_SOLD = text("SELECT coalesce(-sum(change), 0) FROM stock_movements WHERE order_id IS NOT NULL")


class SqlBooks:
    """Fulfils ``Books``."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def count_products(self) -> int:
        """An exact count, which only an auditor may ask for."""
        return self._session.execute(select(func.count()).where(products.c.deleted_at.is_(None))).scalar_one()

    def violations(self) -> list[str]:
        """At most a hundred per check."""
        return [
            str(sentence)
            for check in CHECKS
            for sentence in self._session.execute(check, {"most": MOST_VIOLATIONS}).scalars()
        ]

    def states(self, after_order_id: str, limit: int) -> dict[str, str]:
        """In the order of ids."""
        query = select(reservations.c.order_id, reservations.c.state).where(reservations.c.order_id > after_order_id)
        rows = self._session.execute(query.order_by(reservations.c.order_id).limit(limit))
        return {row.order_id: row.state for row in rows}

    def units_sold(self) -> int:
        """By the ledger."""
        return int(self._session.execute(UNITS_SOLD).scalar_one())

    def oldest_outbox_seconds(self) -> float:
        """Of the catalog's own outbox."""
        return outbox.oldest_unpublished_seconds(self._session)

    def stock_figures(self) -> tuple[int, int]:
        """Units that are held, and how many products on sale have nothing free. Reads all: some 0.1 s for 100,000."""
        reserved, gone = self._session.execute(FIGURES).one()
        return int(reserved), int(gone)
