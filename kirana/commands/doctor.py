"""``kirana doctor``: what is wrong with this machine, and the command that mends it."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.markup import escape

from kirana.commands.typed import as_typed
from kirana.stack import state
from kirana.stack.diagnosis import examine
from kirana.stack.home import Home


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor() -> None:
    """Check the machine and the stack. Exit status 1 when something has to be mended.

    Example: kirana doctor && kirana up
    """
    console = Console(highlight=False, soft_wrap=True)
    findings = examine(Home(state.home()))
    for finding in findings:
        mark = {"well": "[green]✓[/]", "note": "[yellow]•[/]", "bad": "[red]✗[/]"}[finding.verdict]
        console.print(f"{mark} {escape(finding.text)}")
        if finding.mend:
            console.print(f"    Next: [bold]{escape(as_typed(finding.mend))}[/]")
    if any(finding.verdict == "bad" for finding in findings):
        raise typer.Exit(1)
