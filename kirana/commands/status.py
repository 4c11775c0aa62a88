"""``kirana status``: every process of the stack, where it listens and whether it is well."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.table import Table

from kirana.commands.typed import as_typed
from kirana.commands.up import addresses
from kirana.stack import state as stack_state
from kirana.stack.home import Home
from kirana.stack.overview import ORPHANED, Health, as_json, health_of, seen_processes
from kirana.stack.state import StackState
from kirana.stack.supervision import Seen

_COLOURS = {"RUNNING": "green", "STARTING": "yellow", "STOPPING": "yellow", ORPHANED: "yellow"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status")(status)


def status(
    *, as_data: Annotated[bool, typer.Option("--json", help="For scripts; the keys are stable.")] = False
) -> None:
    """Show processes, ports, health and restarts. Exit status 1 when something does not run.

    Example: curl -s "$(kirana status --json | jq -r .edge.url)/api/products"
    """
    state = stack_state.load(stack_state.home())
    seen = seen_processes(Home(state.home))
    if as_data:
        typer.echo(json.dumps(as_json(state, seen), indent=2))
    else:
        _show(state, seen)
    if not seen or any(process.state != "RUNNING" for process in seen):
        raise typer.Exit(1)


def _show(state: StackState, seen: list[Seen]) -> None:
    console = Console(highlight=False)
    if not seen:
        console.print(f"Nothing runs. Next: [bold]{as_typed('kirana up')}[/]")
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("process", "pid", "port", "metrics", "state", "restarts", "health"):
        justify: JustifyMethod = "right" if title in {"pid", "port", "metrics", "restarts"} else "left"
        table.add_column(title, justify=justify, overflow="fold")
    health = health_of(state, seen)
    for process in seen:
        table.add_row(*_row(process, health.get(process.name, Health("", "it does not run"))))
    console.print(table)
    console.print()
    for name, address in addresses(state):
        console.print(f"[bold]{name:<26}[/] {escape(address)}", soft_wrap=True)
    if any(process.state == ORPHANED for process in seen):
        console.print(
            f"\nThe supervisor is gone: nothing is restarted when it dies. Next: [bold]{as_typed('kirana up')}[/]"
        )


def _row(process: Seen, health: Health) -> list[str]:
    colour = _COLOURS.get(process.state, "red")
    verdict = f"[red]{escape(health.complaint)}[/]" if health.complaint else "[green]well[/]"
    pid = str(process.pid) if process.pid else "-"
    state = f"[{colour}]{process.state}[/]"
    return [process.name, pid, health.port, health.metrics, state, str(process.restarts), verdict]
