"""``kirana elastic``: makes an Elasticsearch and a Kibana ready for the shop's log lines."""

from __future__ import annotations

import json
import os
import sys
from typing import Annotated

import typer
from rich.console import Console

from kirana.stack.faults import StackFault
from shipper.setup.faults import SetupFault
from shipper.setup.outcomes import Done, Outcome
from shipper.setup.settings import Part, read_settings

HELP = """Make Elasticsearch and Kibana ready for the log lines.

\b
Where they are, and who may set them up, is said by the environment:
KIRANA_ELASTICSEARCH_URL and KIRANA_KIBANA_URL (127.0.0.1 without),
KIRANA_ELASTICSEARCH_ADMIN_PASSWORD_FILE (none: a server without security),
KIRANA_ELASTICSEARCH_PASSWORD_FILE (the shipper's, to be given to its user).

\b
kirana elastic setup                        both, as often as you like
kirana elastic setup --only elasticsearch   fields, lifecycle and rights
kirana elastic setup --json                 for scripts
"""

MARKS = {Done.MADE: "[green]+[/]", Done.CHANGED: "[yellow]~[/]", Done.WRITTEN: "[green]✓[/]", Done.NOTHING: "[dim]=[/]"}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    elastic = typer.Typer(help=HELP, no_args_is_help=True)
    elastic.callback()(_elastic)
    elastic.command()(setup)
    app.add_typer(elastic, name="elastic")


def _elastic() -> None:
    """A command of its own name may join this one."""


def setup(
    only: Annotated[Part | None, typer.Option(help="One of the two.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts; the keys are stable.")] = False,
) -> None:
    """Put in force what the folder 'logging' says: lifecycle, fields, rights; data view, searches, dashboard.

    What is right already is left alone, but in Kibana, where our own searches and dashboard are written anew.
    Example: kirana elastic setup --only kibana
    """
    from shipper.setup.job import run

    console = Console(stderr=as_json, highlight=False)
    done = []
    try:
        with console.status("Waiting for them to be ready …"):
            for outcome in run(read_settings(os.environ), frozenset({only} if only else Part)):
                done.append(outcome)
                console.print(f"{MARKS[outcome.done]} {outcome.name:<44} {outcome.done.value}")
    except SetupFault as fault:
        raise StackFault(str(fault), mend=fault.mend) from None
    _conclude(console, done, as_json=as_json)


def _conclude(console: Console, done: list[Outcome], *, as_json: bool) -> None:
    if as_json:
        told = {"ok": True, "things": [{"name": outcome.name, "done": outcome.done.value} for outcome in done]}
        sys.stdout.write(json.dumps(told) + "\n")
        return
    changed = sum(outcome.done is not Done.NOTHING for outcome in done)
    console.print(f"{len(done)} things are as they should be; {changed} had to be written.")
