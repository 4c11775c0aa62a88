"""``kirana backup`` and ``kirana restore``: a copy of the shop, and the shop from a copy."""

from __future__ import annotations

import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from kirana.backup.manifest import Manifest
from kirana.backup.restoring import restore as bring_back
from kirana.backup.taking import take
from kirana.stack import state
from kirana.stack.faults import StackFault
from kirana.stack.home import Home
from kirana.stack.lock import alone
from kirana.stack.presence import load_running
from kirana.stack.steps import Steps


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("backup")(backup)
    app.command("restore")(restore)


def backup(folder: Annotated[Path, typer.Argument(help="Where it goes; the folder is made.")]) -> None:
    """Copy the running shop while it sells: databases at one instant, carts, mails, settings and secrets.

    The copy holds everything, passwords and signing keys included: keep it where few can read it.

    Example: kirana backup /srv/backups/$(date +%F)
    """
    began, steps, stack = time.monotonic(), Steps(), load_running()
    waiting = partial(steps.note, "another kirana command works on this stack; waiting for it")
    with alone(stack.home, on_wait=waiting), _told_plainly("The back-up could not be written"):
        made = take(stack, folder.resolve(), steps)
    _show(made)
    typer.echo(
        f"Taken in {time.monotonic() - began:.1f} s. To try it: KIRANA_HOME=/tmp/drill kirana restore {folder}",
        err=True,
    )


def restore(folder: Annotated[Path, typer.Argument(help="What kirana backup made.", exists=True)]) -> None:
    """Bring a shop up from a back-up, in a KIRANA_HOME where there is none; then see that it is in order.

    Events that are still known are told once more: whoever handled them before knows them by their ids.

    Example: KIRANA_HOME=/tmp/drill kirana restore /srv/backups/2026-11-21 && KIRANA_HOME=/tmp/drill kirana audit
    """
    home = Home(state.home())
    with _told_plainly("The back-up could not be restored"):
        found, stack, told = bring_back(folder.resolve(), home, Steps())
    typer.echo(f"The shop of {found.taken_at} is up at {stack.edge_url}; {told:,} events are told again.", err=True)
    typer.echo(f"Next: KIRANA_HOME={home.root} kirana audit", err=True)
    sys.stdout.write(f"{stack.edge_url}\n")


@contextmanager
def _told_plainly(what: str) -> Iterator[None]:
    """A full disk, a folder that is not ours, a journal that cannot be read: faults that an operator can mend."""
    try:
        yield
    except (OSError, sqlite3.Error) as fault:
        raise StackFault(f"{what}: {fault}", mend="see that there is room, and that you may write there") from None


def _show(made: Manifest) -> None:
    sizes: Counter[str] = Counter()
    for name, file in made.files.items():
        sizes[name.partition("/")[0]] += file.bytes
    table = Table("what", "size", title=f"The shop as it was at {made.taken_at}")
    for name, size in sorted(sizes.items()):
        table.add_row(name, decimal(size))
    table.add_row("together", decimal(made.bytes), style="bold")
    Console(stderr=True).print(table)
