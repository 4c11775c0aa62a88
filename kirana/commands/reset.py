"""``kirana reset``: back to an empty shop."""

from __future__ import annotations

from typing import Annotated

import typer

from kirana.stack import state
from kirana.stack.bring_down import remove
from kirana.stack.home import Home
from kirana.stack.steps import Steps


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("reset")(reset)


def reset(*, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> None:
    """Stop the stack and delete its data: databases, carts, mails, logs, passwords.

    Example: kirana reset --yes && kirana up
    """
    folder = state.home()
    if not folder.exists():
        typer.echo(f"There is nothing in {folder}.", err=True)
        return
    if not yes:
        typer.confirm(f"Delete everything in {folder}?", abort=True, err=True)
    remove(Home(folder), Steps())
