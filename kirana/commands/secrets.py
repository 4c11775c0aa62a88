"""``kirana secrets``: the files that docker-compose.yml mounts, drawn once, or once more where that is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from kirana.container_secrets import write
from kirana.stack.faults import StackFault
from kirana.stack.passwords import FILE, forget
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
    """Draw the secrets of a shop in containers. Passwords that were drawn before stay, but for those to renew.

    They are known by passwords.json in that folder: without it every one is drawn anew.
    """
    is_new = not (folder / FILE).exists()
    if is_new and (renew or any(folder.glob("*_amqp_url"))):
        raise StackFault(
            f"{folder} has no {FILE}, so every password would be drawn anew, and no running shop knows those.",
            mend=f"put the {FILE} that was kept into it, or name an empty folder for a new shop",
        )
    if renew:
        try:
            forget(folder, renew)
        except ValueError as fault:
            raise typer.BadParameter(str(fault), param_hint="--renew") from None
    names = write(folder)
    told = f"{len(names)} secrets are in {folder}" + (", all of them new" if is_new else "")
    Console(stderr=True, soft_wrap=True).print(f"{told}. Next: docker compose up -d --wait")
