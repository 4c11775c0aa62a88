"""The stock kernel: rows are locked in the order of their ids, changed by one guarded statement, and written up."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from rpc_services.catalog.domain import Demand, Move, Stock
from rpc_services.catalog.storage.products import any_of
from rpc_services.catalog.tables import stock

MOVE = text("""
    UPDATE stock SET on_hand = on_hand + :on_hand * wanted.quantity, reserved = reserved + :reserved * wanted.quantity
    FROM unnest(CAST(:ids AS bigint[]), CAST(:quantities AS bigint[])) AS wanted (product_id, quantity)
    WHERE stock.product_id = wanted.product_id
      AND reserved + :reserved * wanted.quantity BETWEEN 0 AND on_hand + :on_hand * wanted.quantity
""")
RECORD = text("""
    INSERT INTO stock_movements (product_id, change, reason, order_id, at)
    SELECT wanted.product_id, :on_hand * wanted.quantity, :reason, :order_id, :at
    FROM unnest(CAST(:ids AS bigint[]), CAST(:quantities AS bigint[])) AS wanted (product_id, quantity)
""")


class StockDisagrees(RuntimeError):
    """Locked stock could not be moved: a hold and the stock it stands for do not agree. The audit tells more."""


class SqlStocks:
    """Fulfils ``Stocks``."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def lock(self, product_ids: Iterable[int]) -> dict[int, Stock]:
        """An UPDATE would lock in the order of its plan; two baskets with the same goods could then block each other.

        The sort happens below the lock, and a row that was waited for is read anew.
        """
        query = select(stock).where(any_of(stock.c.product_id, list(product_ids))).order_by(stock.c.product_id)
        rows = self._session.execute(query.with_for_update(key_share=True))
        return {row.product_id: Stock(row.on_hand, row.reserved) for row in rows}

    def move(self, demand: Demand, move: Move, *, order_id: str, at: datetime) -> None:
        """All or none, guarded by the numbers themselves. Raises :class:`StockDisagrees`."""
        if not demand:
            return
        units = {
            "ids": list(demand),
            "quantities": list(demand.values()),
            "on_hand": move.on_hand,
            "reserved": move.reserved,
        }
        moved = self._session.execute(MOVE, units).rowcount  # type: ignore[attr-defined]  # a cursor result has it
        if moved != len(demand):
            raise StockDisagrees(f"{moved} of {len(demand)} lines could be moved.")
        if move.reason is not None:
            self._session.execute(RECORD, {**units, "reason": move.reason, "order_id": order_id, "at": at})
