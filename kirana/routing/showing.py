"""Shows route tables, their faults and their differences in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from edge.routes import Route
from edge.targets.declared import Difference

_AUTH = {"none": "dim", "optional": "yellow", "required": "green"}
_METHOD = {"GET": "cyan", "DELETE": "red"}
_KIND = {"added": ("green", "+"), "removed": ("red", "-"), "changed": ("yellow", "~")}


def show_routes(console: Console, routes: Iterable[Route]) -> None:
    """One row per route, in the table's order."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("method", "path", "leads to", "auth", "scopes", "limits", "deadline"):
        table.add_column(title, overflow="fold", justify="right" if title == "deadline" else "left")
    for route in routes:
        table.add_row(*_row(route))
    console.print(table)


def show_faults(console: Console, faults: Iterable[Mapping[str, Any]], source: str) -> None:
    """Every fault with its line, as editors and compilers write places."""
    for fault in faults:
        place = f"{source}:{fault['line']}" if fault.get("line") else source
        route = f"[cyan]{escape(str(fault['route']))}[/]: " if fault.get("route") else ""
        console.print(f"[bold]{escape(place)}[/]: {route}{escape(str(fault['detail']))}", soft_wrap=True)


def show_differences(console: Console, differences: Iterable[Difference]) -> None:
    """What is added, removed and changed, with every changed word before and after."""
    for difference in differences:
        colour, sign = _KIND[difference.kind]
        console.print(f"[{colour}]{sign} {escape(difference.place)}[/]")
        for change in difference.changes:
            before, after = escape(change.before), escape(change.after)
            console.print(f"    {escape(change.pointer)}: [red]{before}[/] → [green]{after}[/]", soft_wrap=True)


def _row(route: Route) -> list[str]:
    policy = route.policy
    limits = policy.limits
    limited = " + ".join(part for part in (limits.address, limits.caller) if part) if limits else "[dim]none[/]"
    method = _METHOD.get(policy.method, "magenta")
    return [
        f"[{method}]{policy.method}[/]",
        escape(policy.path),
        escape(route.target_name),
        f"[{_AUTH[policy.auth]}]{policy.auth}[/]",
        escape(" ".join(policy.scopes)),
        limited,
        f"{policy.deadline:g} s",
    ]
