"""Shows parked messages to people and to scripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kirana.parking.choosing import short_ids
from kirana.parking.message import Parked, Summary
from kirana.parking.moving import Moved
from kirana.parking.redacted import body_of, headers_of, pretty, printable, said

SHOWN_ROWS = 50
_WIDE = 220
_SECONDS = 19  # of a time in ISO 8601, without what is smaller


def console(*, to_stderr: bool = False) -> Console:
    """A terminal as wide as it is; a pipe as wide as the table wants."""
    found = Console(stderr=to_stderr, highlight=False, emoji=False)
    if not found.is_terminal:
        found.width = _WIDE
    return found


def table_of(parked: Sequence[Summary], *, title: str, known: Sequence[Summary] = ()) -> Table:
    """One row each, up to :data:`SHOWN_ROWS`; ids as short as ``known`` allows."""
    ids = short_ids(known or parked)
    more = len(parked) - SHOWN_ROWS
    table = Table(title=title, title_justify="left", caption=f"… and {more:,} more" if more > 0 else None)
    table.add_column("id", no_wrap=True, style="bold")
    for name in ("service", "kind", "from", "parked (UTC)", "why", "what", "request"):
        table.add_column(name, overflow="fold")
    table.add_column("tries", justify="right")
    for each in parked[:SHOWN_ROWS]:
        table.add_row(ids[each.id], *(Text(said(cell)) for cell in _cells(each)))
    return table


def document_of(summary: Summary) -> dict[str, Any]:
    """The stable shape that scripts read."""
    told = {"from" if name == "origin" else name: value for name, value in asdict(summary).items()}
    return told | {"kind": summary.kind.value, "reason": said(summary.reason)}


def whole_document_of(parked: Parked) -> dict[str, Any]:
    """As above, with the message itself."""
    return {**document_of(parked.summary), "properties": headers_of(parked), "body": body_of(parked)}


def show_whole(parked: Parked, to: Console) -> None:
    """Everything about one message, secrets left out."""
    grid = Table.grid(padding=(0, 2))
    for name, value in document_of(parked.summary).items():
        grid.add_row(Text(name, style="bold"), Text(said("" if value is None else str(value))))
    to.print(grid)
    for title, part in (("properties", headers_of(parked)), ("body", body_of(parked))):
        to.print(Text(f"\n{title}", style="bold"))
        to.print(Text(pretty(part)), soft_wrap=True)


def show_moved(moved: Moved, verb: str, to: Console) -> None:
    """What became of how many, and why some stayed."""
    table = Table("service", verb, "still parked", "gone meanwhile")
    lists = (moved.done, [summary for summary, _ in moved.stayed], moved.gone)
    counts = [Counter(each.service for each in found) for found in lists]
    for service in sorted(set().union(*counts)):
        table.add_row(service, *(f"{count[service]:,}" for count in counts))
    to.print(table)
    for reason, count in Counter(reason for _, reason in moved.stayed).most_common():
        to.print(Text(f"  {count:,} not {verb}: {printable(reason)}", style="yellow"), soft_wrap=True)
    if moved.gone:
        to.print(Text(f"  {len(moved.gone):,} gone: another operator has dealt with them.", style="yellow"))


def _cells(each: Summary) -> tuple[str, ...]:
    at = each.parked_at[:_SECONDS].replace("T", " ")
    tries = "" if each.attempts is None else str(each.attempts)
    return (each.service, each.kind.value, each.origin, at, each.reason, each.what, each.request_id, tries)
