"""What the service under load offers: one read that costs next to nothing, so that calls are what is measured."""

from __future__ import annotations

from typing import Any

from shared.contracts.method import Methods, Request

SERVICE = "bench"
STOCK_SERVICE = "stockbench"
METHODS = Methods(SERVICE)


class Look(Request, frozen=True, kw_only=True):
    """One product by its id."""

    product_id: int


LOOK = METHODS.reads("look", Look, dict[str, Any])


def look(product_id: int) -> dict[str, Any]:
    """The body that every service under load has."""
    return {"id": product_id, "name": "Benchmark biscuits", "price": "1.00", "currency": "EUR", "stock": 5}
