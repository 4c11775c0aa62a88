"""``kirana install``: the servers this machine lacks, without starting anything."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from kirana.stack import packages

EPILOG = "kirana up does this by itself; tests that start servers of their own need it done before."


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="install", epilog=EPILOG)(install)


def install(
    *, browser: Annotated[bool, typer.Option("--browser", help="Chromium too, which the tests look with.")] = False
) -> None:
    """Install the servers that are missing (as root), or say exactly which packages to install.

    Example: sudo .venv/bin/kirana install
    """
    installed = packages.ensure([*packages.SERVERS, packages.BROWSER] if browser else packages.SERVERS)
    Console(stderr=True).print(f"Installed: {', '.join(installed)}." if installed else "Every server is installed.")
