"""``kirana down``: stops the stack and leaves no process behind."""

from __future__ import annotations

import typer

from kirana.commands.typed import as_typed
from kirana.stack import state
from kirana.stack.bring_down import bring_down
from kirana.stack.home import Home
from kirana.stack.steps import Steps


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("down")(down)


def down() -> None:
    """Stop everything: first the edge, then the services, then the servers. Data stays.

    Example: kirana down && kirana up --edge-workers 2
    """
    steps = Steps()
    if bring_down(Home(state.home()), steps):
        steps.note(as_typed(f"Everything has stopped; the data is in {state.home()}. Back again: kirana up"))
    else:
        steps.note(f"Nothing of {state.home()} was running.")
