"""``kirana secrets``: the files that docker-compose.yml mounts, drawn once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from kirana.container_secrets import write
from kirana.stack.state import CHECKOUT

EPILOG = "Example: kirana secrets && docker compose up -d --wait"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="secrets", epilog=EPILOG)(draw)


def draw(
    folder: Annotated[Path, typer.Argument(help="Where the files go.")] = CHECKOUT / "docker" / "secrets",
) -> None:
    """Draw the secrets of a shop in containers. Passwords that were drawn before stay as they are."""
    names = write(folder)
    Console(stderr=True).print(f"{len(names)} secrets are in {folder}. Next: docker compose up -d --wait")
