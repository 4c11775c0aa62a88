"""``kirana secrets``: the files that docker-compose.yml mounts, drawn once, or once more where that is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from kirana.container_secrets import write
from kirana.stack.passwords import forget
from kirana.stack.state import CHECKOUT

EPILOG = """Examples:

kirana secrets && docker compose up -d --wait

kirana secrets --renew amqp.order      docs/security.md says what has to follow, for each"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="secrets", epilog=EPILOG)(draw)


def draw(
    folder: Annotated[Path, typer.Argument(help="Where the files go.")] = CHECKOUT / "docker" / "secrets",
    *,
    renew: Annotated[
        list[str] | None, typer.Option(help="A password to draw once more, such as amqp.order; may be repeated.")
    ] = None,
) -> None:
    """Draw the secrets of a shop in containers. Passwords that were drawn before stay, but for those to renew."""
    if renew:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            forget(folder, renew)
        except ValueError as fault:
            raise typer.BadParameter(str(fault), param_hint="--renew") from None
    names = write(folder)
    Console(stderr=True).print(f"{len(names)} secrets are in {folder}. Next: docker compose up -d --wait")
