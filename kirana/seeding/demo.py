"""A small made-up shop, the same on every machine: enough to click around in and to test against."""

from __future__ import annotations

import random
from collections.abc import Iterator

from kirana.calls import Calls, HasBroker
from kirana.seeding.loading import LoadReport, OnProgress, Row, load_rows
from kirana.seeding.shelves import BRANDS, SHELVES, Shelf

DEFAULT_COUNT = 2000
_SOLD_OUT_IN = 50
_RICHEST_STOCK = 400
_GOODS_IN_ENDS = (9, 49, 79, 99, 99, 99)


def seed_demo(shop: HasBroker, count: int = DEFAULT_COUNT, on_progress: OnProgress = lambda _: None) -> LoadReport:
    """Load ``count`` made-up products; of those that are there already the stock is left alone."""
    with Calls(shop) as calls:
        return load_rows(demo_rows(count), calls, on_progress)


def demo_rows(count: int) -> Iterator[Row]:
    """The first ``count`` products. Each depends on its own number only."""
    for number in range(1, count + 1):
        yield _row(number)


def _row(number: int) -> Row:
    chance = random.Random(number)  # noqa: S311 - plausible goods, not secrets
    shelf = SHELVES[number % len(SHELVES)]
    brand, kind, noun, size = (chance.choice(words) for words in (BRANDS, shelf.kinds, shelf.nouns, shelf.sizes))
    name = f"{brand} {kind} {noun} {size}".replace("  ", " ").strip()
    return {
        "sku": f"demo-{number:06d}",
        "name": name,
        "description": f"{_sentence(kind, noun)} by {brand}, {size}. From our {shelf.category.lower()} shelf.",
        "price": _price(shelf, chance),
        "category": [shelf.department, shelf.category],
        "stock": 0 if number % _SOLD_OUT_IN == 0 else chance.randint(5, _RICHEST_STOCK),
    }


def _sentence(kind: str, noun: str) -> str:
    words = f"{kind} {noun}".strip()
    return words[:1].upper() + words[1:]


def _price(shelf: Shelf, chance: random.Random) -> str:
    whole = chance.randint(shelf.cheapest, shelf.dearest)
    return f"{whole}.{chance.choice(_GOODS_IN_ENDS):02d}"
