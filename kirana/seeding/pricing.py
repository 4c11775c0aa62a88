"""Gives a price to every product: what was paid for it, or what was paid for the goods nearest to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from statistics import median
from typing import Any

CHEAPEST = Decimal("0.01")
_CENT = Decimal("0.01")

LADDER: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("same type and size", ("department", "product_category", "product_type", "package_size")),
    ("same type", ("department", "product_category", "product_type")),
    ("same category", ("department", "product_category")),
    ("same department", ("department",)),
    ("the whole shop", ()),
)
"""Where a product that was never sold (or only for nothing) finds its price: the nearest step that has one."""


class PriceList:
    """Median price of one unit per product; for unsold ones the median over the products nearest to it."""

    def __init__(self, products: Sequence[Mapping[str, Any]], prices: Mapping[int, Sequence[float]]) -> None:
        self._own = {product: price for product, paid in prices.items() if (price := _to_cents(_middle(paid)))}
        self._near = [self._medians(products, fields) for _, fields in LADDER]
        self.sources = dict.fromkeys(["its own sales", *(name for name, _ in LADDER)], 0)

    def price_of(self, product: Mapping[str, Any]) -> str:
        """A decimal string with two decimals, at least one cent. Counts where it came from in ``sources``."""
        own = self._own.get(product["product_id"])
        if own is not None:
            self.sources["its own sales"] += 1
            return str(own)
        for (name, fields), medians in zip(LADDER, self._near, strict=True):
            near = medians.get(tuple(product[part] for part in fields))
            if near is not None:
                self.sources[name] += 1
                return str(near)
        return str(CHEAPEST)

    def _medians(
        self, products: Sequence[Mapping[str, Any]], fields: tuple[str, ...]
    ) -> dict[tuple[Any, ...], Decimal]:
        groups: dict[tuple[Any, ...], list[Decimal]] = {}
        for product in products:
            own = self._own.get(product["product_id"])
            if own is not None:
                groups.setdefault(tuple(product[part] for part in fields), []).append(own)
        return {key: _to_cents(median(paid)) or CHEAPEST for key, paid in groups.items()}


def _middle(ascending: Sequence[float]) -> Decimal:
    half = len(ascending) // 2
    if len(ascending) % 2:
        return Decimal(repr(ascending[half]))
    return (Decimal(repr(ascending[half - 1])) + Decimal(repr(ascending[half]))) / 2


def _to_cents(price: Decimal) -> Decimal | None:
    """Rounded to the cent; nothing when that is no price."""
    cents = price.quantize(_CENT, ROUND_HALF_UP)
    return cents if cents >= CHEAPEST else None
