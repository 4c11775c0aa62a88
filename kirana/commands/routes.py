"""``kirana routes``: check a route table before it is used, see the one in force, and put another in its place."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console

from kirana.commands.typed import as_typed

if TYPE_CHECKING:
    from edge.routes import RouteTable

HELP = """Check, show, compare and replace the route table.

\b
A table is a FILE, or the URL of an edge that serves by it; left out, it is
the one in force at the local stack. An edge elsewhere wants a token with
the scope edge:admin in KIRANA_TOKEN. What is withdrawn is taken out of the
local stack's Consul, or of the one that KIRANA_CONSUL_URL names, and may be
put back by kirana config.

\b
kirana routes check my-routes.yaml        every fault, with its line
kirana routes diff my-routes.yaml         what it would change
kirana routes push my-routes.yaml         put it in force everywhere
kirana routes withdraw                    back to the edge's own file

\b
Exit status: 0 well, 1 the tables differ, 78 a table cannot be used.
"""

AsJson = Annotated[bool, typer.Option("--json", help="For scripts; the keys are stable.")]
Url = Annotated[str | None, typer.Option(help="An edge other than the local stack's.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    routes = typer.Typer(help=HELP, no_args_is_help=True)
    for command in (check, show, diff, push, withdraw, schema):
        routes.command()(command)
    app.add_typer(routes, name="routes")


def check(file: Annotated[str, typer.Argument(metavar="FILE")], *, as_json: AsJson = False) -> None:
    """Check a table as an edge would, without one: every fault at once, with its line.

    Example: kirana routes check edge/routes.yaml
    """
    table = _compiled(file, as_json=as_json)
    if as_json:
        _write({"ok": True, "routes": len(table.routes), "faults": []})
    else:
        Console(highlight=False).print(f"[green]✓[/] {len(table.routes)} routes, no fault.")


def show(
    source: Annotated[str | None, typer.Argument(metavar="[FILE|URL]")] = None, *, as_json: AsJson = False
) -> None:
    """Show the routes of a table; of an edge's also which version it is, and whether another was refused.

    Example: kirana routes show  |  kirana routes show edge/routes.yaml
    """
    from kirana.routing import showing, sources

    state = sources.in_force(source) if source is None or sources.is_url(source) else None
    table = _compiled(source, text=state["text"] if state else None, as_json=as_json)
    if as_json:
        _write({**(state or {}), "routes": [msgspec.to_builtins(route.policy) for route in table.routes]})
        return
    console = Console(highlight=False)
    showing.show_routes(console, table.routes)
    if state:
        console.print(f"\nVersion [bold]{state['version']}[/] from {state['origin']} since {state['since']}.")
    if state and state["refused"]:
        refused = state["refused"]
        console.print(f"[red]Refused: version {refused['version']} since {refused['since']}.[/]")
        console.print("\n".join(f"  {fault}" for fault in refused["faults"]), markup=False)


def diff(
    first: Annotated[str, typer.Argument(metavar="A")],
    second: Annotated[str | None, typer.Argument(metavar="[B]")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Compare two tables by what they mean: what changes from A to B, or from the one in force to A.

    Example: kirana routes diff edge/routes.yaml my-routes.yaml
    """
    from edge.live.differing import differences
    from kirana.routing import showing

    before, after = (first, second) if second else (None, first)
    found = differences(_compiled(before, as_json=as_json), _compiled(after, as_json=as_json))
    if as_json:
        _write(msgspec.to_builtins(found))
    else:
        showing.show_differences(Console(highlight=False), found)
    raise typer.Exit(1 if found else 0)


def push(
    file: Annotated[str, typer.Argument(metavar="FILE")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Let the edge check and compare; change nothing.")] = False,
    if_version: Annotated[str | None, typer.Option(help="Replace only this version.")] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Put a table in force on every worker of every edge, through Consul; requests under way end by the old one.

    Example: kirana routes push my-routes.yaml --dry-run
    """
    from edge.targets.declared import Difference
    from kirana.routing import showing, sources

    try:
        taken = sources.offer(sources.text_of(file), dry_run=dry_run, if_version=if_version, url=url)
    except sources.TableRefused as refused:
        raise _bad(refused.faults, file, as_json=as_json) from None
    if as_json:
        _write(taken)
        return
    console = Console(highlight=False)
    showing.show_differences(console, msgspec.convert(taken["differences"], list[Difference]))
    said = "would replace" if dry_run else "replaces"
    console.print(f"[green]✓[/] Version [bold]{taken['version']}[/] {said} {taken['replaces']}.")


def withdraw(
    *,
    reason: Annotated[str, typer.Option(help="Why, for those who read the history.")] = "",
    consul: Annotated[str | None, typer.Option("--consul", help="A Consul other than the local stack's.")] = None,
) -> None:
    """Take the pushed table out of Consul: each edge serves by its own file again. The history keeps it.

    Example: kirana routes withdraw --reason "holidays are over"
    """
    from kirana.configuration import history, keys

    with keys.connect(consul) as store:
        done = history.withdraw(store, history.author_here("withdrawn" + (f": {reason}" if reason else "")))
    said = (
        f"Change {done.number}: each edge serves by its own file again. The way back: "
        + as_typed(f"kirana config rollback {done.number - 1}")
        if done
        else "No table was pushed: nothing to take back."
    )
    Console(highlight=False, soft_wrap=True).print(said)


def schema() -> None:
    """Print the JSON Schema for editors, as it stands in edge/routes.schema.json.

    Example: kirana routes schema > edge/routes.schema.json
    """
    from edge.schema import schema_text

    typer.echo(schema_text(), nl=False)


def _compiled(source: str | None, *, as_json: bool, text: str | None = None) -> RouteTable:
    """Ends the command with status 78 after telling every fault."""
    from edge.routes import BadRoutes, compiled
    from kirana.routing import sources

    try:
        return compiled(sources.text_of(source) if text is None else text)
    except BadRoutes as bad:
        faults = [msgspec.to_builtins(fault) for fault in bad.faults]
        raise _bad(faults, source or "the table in force", as_json=as_json) from None


def _bad(faults: list[dict[str, Any]], source: str, *, as_json: bool) -> typer.Exit:
    from edge.faults import EX_CONFIG
    from kirana.routing import showing

    if as_json:
        _write({"ok": False, "faults": faults})
    else:
        console = Console(stderr=True, highlight=False)
        showing.show_faults(console, faults, source)
        console.print(f"[red]✗[/] {len(faults)} fault{'s'[: len(faults) != 1]}.")
    return typer.Exit(EX_CONFIG)


def _write(data: Any) -> None:
    typer.echo(json.dumps(data, indent=2))
