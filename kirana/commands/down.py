"""``kirana down``: stops the stack and leaves no process behind."""

from __future__ import annotations

import typer

from kirana.stack import state
from kirana.stack.bring_down import bring_down
from kirana.stack.home import Home
from kirana.stack.steps import Steps


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("down")(down)


def down() -> None:
    """Stop everything: first the edge, then the services, then the servers. Data stays."""
    bring_down(Home(state.home()), Steps())
