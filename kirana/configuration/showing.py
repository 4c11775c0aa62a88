"""Shows what changed, when and by whom, in a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from edge.live.differing import differences
from edge.routes import compiled
from kirana.configuration.documents import packaged
from kirana.configuration.history import BEGINNING, Book, Change
from kirana.routing.showing import show_differences


def show_history(console: Console, book: Book) -> None:
    """One row per change, the newest first."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("number", "when", "by", "version", "reason"):
        table.add_column(title, overflow="fold", justify="right" if title == "number" else "left")
    if not book.is_recorded:
        table.add_row("-", "now", "elsewhere", book.version or "none", "[yellow]not recorded yet[/]")
    for one in (*reversed(book.changes), BEGINNING):
        table.add_row(str(one.number), one.at, escape(one.by), one.version or "none", escape(one.reason))
    console.print(table)


def show_change(console: Console, book: Book, number: int) -> None:
    """What one change did to the table."""
    one = book.change(number)
    if one is BEGINNING:
        console.print(f"{one.number}: {one.reason}. Each edge served by its own file.")
        return
    console.print(f"{one.number}: {one.at} by [bold]{escape(one.by)}[/]: {escape(one.reason or 'no reason given')}")
    show_differences(console, differences(compiled(text_before(book, one)), compiled(one.text or packaged())))


def text_before(book: Book, one: Change) -> str:
    """The table before this change, which is the packaged one where there was none."""
    before = [other for other in book.changes if other.number < one.number]
    return (before[-1].text if before else None) or packaged()


def as_json(one: Change) -> dict[str, Any]:
    """For scripts."""
    return {"number": one.number, "at": one.at, "by": one.by, "reason": one.reason, "version": one.version}
