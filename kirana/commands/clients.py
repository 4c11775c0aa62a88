"""``kirana clients``: services and partners that get access tokens in their own name from ``/oauth/token``."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from kirana.identity_calls import ask
from shared.contracts import identity
from shared.contracts import identity_operators as operators

HELP = """Services and partners that get access tokens in their own name.

\b
kirana clients add warehouse --scope orders:manage    tells the secret, once
kirana clients list
kirana clients remove ID                              its tokens count no more

\b
curl -u ID:SECRET -d grant_type=client_credentials http://127.0.0.1:8000/oauth/token
"""

AsJson = Annotated[bool, typer.Option("--json", help="For scripts; the members are stable.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    clients = typer.Typer(help=HELP, no_args_is_help=True)
    clients.command("add")(add)
    clients.command("list")(list_clients)
    clients.command("remove")(remove)
    app.add_typer(clients, name="clients")


def add(
    name: Annotated[str, typer.Argument(help="Who it is, for your own list.")],
    *,
    scope: Annotated[list[str] | None, typer.Option(help="What it may do; may be given more than once.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a client and tell its secret, which nobody can look up afterwards.

    Example: kirana clients add warehouse --scope orders:manage
    """
    made: operators.NewClient = ask(identity.ADD_CLIENT, operators.AddClient, name=name, scopes=scope or [])
    if as_json:
        _write(msgspec.to_builtins(made))
        return
    sys.stdout.write(f"client_id      {made.client_id}\nclient_secret  {made.client_secret}\n")


def list_clients(*, as_json: AsJson = False) -> None:
    """Show every client and what it may do.

    Example: kirana clients list
    """
    found: list[operators.Client] = ask(identity.LIST_CLIENTS, operators.ListClients)
    if as_json:
        _write(msgspec.to_builtins(found))
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("client_id", "name", "scopes", "since"):
        table.add_column(title, overflow="fold")
    for client in found:
        table.add_row(client.client_id, client.name, " ".join(client.scopes), client.created_at[:10])
    Console(highlight=False).print(table if found else "There is no client yet.")


def remove(client_id: Annotated[str, typer.Argument(metavar="ID", help="As 'list' shows it.")]) -> None:
    """Forget a client: within a second its tokens are refused everywhere.

    Example: kirana clients remove 0193c1de-…
    """
    ask(identity.REMOVE_CLIENT, operators.RemoveClient, client_id=client_id)


def _write(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
