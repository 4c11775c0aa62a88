"""``kirana maintenance``: take one instance out without an error, and let it in again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kirana.stack.faults import StackFault

HELP = """Take an instance out without an error, and let it in again.

\b
kirana maintenance on catalog-1 --reason "new disk"
kirana maintenance list
kirana maintenance off catalog-1

\b
A service that is out takes no calls and no events, finishes what it has
begun, and lives on; an edge is no longer ready, ends connections with their
next answers, and still answers whoever comes. The wish outlives restarts.
Exit status: 0 well, 11 it is the last of its service, 12 it did not follow in time.
"""

Url = Annotated[str | None, typer.Option("--consul", help="A Consul other than the local stack's.")]
Seconds = Annotated[float, typer.Option("--wait", min=0.0, help="Seconds to wait until it has followed.")]


class NotFollowed(StackFault):
    """The wish stands, but the instance has not done so yet."""

    exit_code = 12


def register(app: typer.Typer) -> None:
    """Add the commands."""
    maintenance = typer.Typer(help=HELP, no_args_is_help=True)
    commands: dict[str, Callable[..., None]] = {"on": on, "off": off, "list": list_}
    for name, command in commands.items():
        maintenance.command(name)(command)
    app.add_typer(maintenance, name="maintenance")


def on(
    instance: Annotated[str, typer.Argument(metavar="INSTANCE")],
    *,
    reason: Annotated[str, typer.Option(help="Why, for those who wonder.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Even if nobody else of its service serves.")] = False,
    wait: Seconds = 30.0,
    consul: Url = None,
) -> None:
    """Take an instance out, and wait until it has finished what it had begun.

    Example: kirana maintenance on catalog-1 --reason "new disk"
    """
    from kirana.configuration import attendance, keys
    from kirana.configuration.history import author_here

    with keys.connect(consul) as store:
        attendance.take_out(store, instance, author_here(reason), even_the_last=force)
        _wait_for(attendance.until(store, instance, attendance.are_idle, seconds=wait) or not wait, instance)
    Console(highlight=False).print(f"[green]✓[/] {escape(instance)} is out and has finished. It lives on.")


def off(
    instance: Annotated[str, typer.Argument(metavar="INSTANCE")], *, wait: Seconds = 30.0, consul: Url = None
) -> None:
    """Let an instance in again, and wait until it says that it serves.

    Example: kirana maintenance off catalog-1
    """
    from kirana.configuration import attendance, keys

    console = Console(highlight=False)
    with keys.connect(consul) as store:
        if not attendance.let_in(store, instance):
            console.print(f"{escape(instance)} was not out: nothing was changed.")
            return
        _wait_for(attendance.until(store, instance, attendance.are_in, seconds=wait) or not wait, instance)
    console.print(f"[green]✓[/] {escape(instance)} serves again.")


def list_(
    *,
    consul: Url = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts; the keys are stable.")] = False,
) -> None:
    """Show who is out, since when, by whom and why.

    Example: kirana maintenance list --json
    """
    from kirana.configuration import attendance, keys

    with keys.connect(consul) as store:
        wishes = attendance.wishes(store)
    if as_json:
        typer.echo(json.dumps({name: msgspec.to_builtins(wish) for name, wish in wishes.items()}, indent=2))
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("instance", "since", "by", "takes", "reason"):
        table.add_column(title, overflow="fold")
    for name, wish in wishes.items():
        takes = "nothing" if wish.is_out else f"work in {wish.share:.0%} of its time"
        table.add_row(*map(escape, (name, wish.since, wish.by, takes, wish.reason)))
    Console(highlight=False).print(table if wishes else "Nobody is out.")


def _wait_for(has_followed: bool, instance: str) -> None:  # noqa: FBT001 - what the wait came to
    if not has_followed:
        raise NotFollowed(
            f"{instance} has not followed yet; the wish stands.",
            mend="kirana maintenance list   (and: kirana status)",
            cause="It is not running, it cannot reach Consul, or its work takes longer.",
        )
