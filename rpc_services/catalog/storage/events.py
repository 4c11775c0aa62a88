"""Tells others what changed, by rows that commit together with the change."""

from __future__ import annotations

from sqlalchemy.orm import Session

from rpc_services.catalog.domain import Product
from shared.contracts.events import PRODUCT_CHANGED, ProductChanged
from shared.messaging import outbox


class OutboxEvents:
    """Fulfils ``Events``."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def product_changed(self, product: Product) -> None:
        """Write the event of this version."""
        changed = ProductChanged(product_id=product.id, category_id=product.category.id, version=product.version)
        outbox.add(self._session, PRODUCT_CHANGED, aggregate_id=f"product/{product.id}", data=changed)
