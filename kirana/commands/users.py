"""``kirana users``: keep somebody out of the shop, or let them in again."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from kirana.identity_calls import ask
from shared.contracts import identity
from shared.contracts import identity_operators as operators

Name = Annotated[str, typer.Argument(metavar="NAME", help="By username, whatever its case.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    users = typer.Typer(help="Keep somebody out of the shop, or let them in again.", no_args_is_help=True)
    users.command("disable")(disable)
    users.command("enable")(enable)
    app.add_typer(users, name="users")


def disable(name: Name) -> None:
    """End every session of a user at once, everywhere, and open no new one.

    Example: kirana users disable mallory
    """
    _switch(name, disabled=True)


def enable(name: Name) -> None:
    """Let a user log in again.

    Example: kirana users enable mallory
    """
    _switch(name, disabled=False)


def _switch(name: str, *, disabled: bool) -> None:
    user: identity.User = ask(identity.SWITCH_USER, operators.SwitchUser, username=name, disabled=disabled)
    sys.stdout.write(f"{user.username} {'can no longer log in' if disabled else 'can log in'}\n")
