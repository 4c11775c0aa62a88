"""``kirana keys``: the keys that sign access tokens, and how they are replaced without refusing a single good token."""

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

HELP = """See and replace the keys that sign access tokens.

\b
Identity replaces them by itself every 90 days: the next key is always
published ahead; it signs once every cache knows it; the old one stays
published until its last token is dead, and is then forgotten.

\b
kirana keys list                   every key, and when it leaves its state
kirana keys rotate                 do not wait for the 90 days
kirana keys rotate --compromised   keys are in wrong hands: new ones, now
"""

AsJson = Annotated[bool, typer.Option("--json", help="For scripts; the members are stable.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    keys = typer.Typer(help=HELP, no_args_is_help=True)
    keys.command("list")(list_keys)
    keys.command("rotate")(rotate)
    app.add_typer(keys, name="keys")


def list_keys(*, as_json: AsJson = False) -> None:
    """Show every key that verifies tokens, and which one signs.

    Example: kirana keys list
    """
    _show(ask(identity.LIST_SIGNING_KEYS, operators.ListSigningKeys), as_json=as_json)


def rotate(
    *,
    compromised: Annotated[
        bool, typer.Option("--compromised", help="Forget all keys at once: no token of theirs counts any more.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Let the next key take over as soon as it has been published long enough; no good token is refused meanwhile.

    Example: kirana keys rotate
    """
    _show(ask(identity.ROTATE_SIGNING_KEYS, operators.RotateSigningKeys, compromised=compromised), as_json=as_json)


def _show(keys: list[operators.SigningKey], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(msgspec.to_builtins(keys), indent=2) + "\n")
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("key", "algorithm", "state", "since", "until"):
        table.add_column(title, overflow="fold")
    for key in keys:
        table.add_row(key.kid, key.algorithm, key.state, _moment(key.since), _moment(key.turns_at))
    Console(highlight=False).print(table)


def _moment(text: str) -> str:
    return text[:19].replace("T", " ") + " UTC"
