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
    *,
    tests: Annotated[bool, typer.Option("--tests", help="Also what the tests look with: a browser, promtool.")] = False,
) -> None:
    """Install the servers that are missing (as root), or say exactly which packages to install.

    Example: sudo .venv/bin/kirana install
    """
    installed = packages.ensure([*packages.SERVERS, *packages.FOR_TESTS] if tests else packages.SERVERS)
    Console(stderr=True).print(f"Installed: {', '.join(installed)}." if installed else "Every server is installed.")
