"""What the service under load offers: reads that cost next to nothing, so that calls are what is measured."""

from __future__ import annotations

from typing import Any

from shared.contracts.method import Methods, Nothing, Request

SERVICE = "bench"
STOCK_SERVICE = "stockbench"
METHODS = Methods(SERVICE)


class Look(Request, frozen=True, kw_only=True):
    """One product by its id."""

    product_id: int


class Rest(Request, frozen=True, kw_only=True):
    """Nothing, after so many seconds; the number makes it unlike any other, for equal reads would share a call."""

    number: int
    seconds: float


LOOK = METHODS.reads("look", Look, dict[str, Any])
REST = METHODS.reads("rest", Rest, Nothing)


def look(product_id: int) -> dict[str, Any]:
    """The body that every service under load has."""
    return {"id": product_id, "name": "Benchmark biscuits", "price": "1.00", "currency": "EUR", "stock": 5}
