"""``kirana deploy``: a new version beside the old, traffic shifted by weight, taken back when it errs."""

from __future__ import annotations

import json
import signal
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kirana.commands.complaint import complain
from kirana.commands.up import INTERRUPTED
from kirana.stack.faults import StackFault
from kirana.stack.steps import Interrupted

if TYPE_CHECKING:
    from kirana.deploying.canary import Report
    from kirana.deploying.watching import Policy

PARTS = ("edge", "identity", "catalog", "cart", "order", "notification")
DEFAULT_WATCH_SECONDS = 20.0
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What a terminal that is closed or a job that is called off sends, too."""

HELP = """Put a new version of the local stack's edge or services in the place of the old, without a failed request.

It runs beside the old one first, with a part of the traffic, then with all it can have; what its metrics say
decides. Clients of the edge come through the front, whose address is printed; a read that the new edge cannot
serve is served by the old one. A service is given its share by the part of its time in which it takes work.

\b
kirana deploy --canary 10                          the edge, from this checkout
kirana deploy ../next --part catalog --part order  services, from another folder
kirana deploy kirana-0.2-py3-none-any.whl --watch 60

\b
Exit status: 0 it serves, 13 it erred and was taken back, 130 it was interrupted and taken back; others as of
kirana up. After a deployment that was killed outright, kirana up puts everything right.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("deploy", help=HELP)(deploy)


def deploy(  # noqa: PLR0913 - an option each
    source: Annotated[Path | None, typer.Argument(help="A folder or wheel; else this checkout.")] = None,
    *,
    part: Annotated[list[str] | None, typer.Option(help="edge or a service; may be said again.")] = None,
    canary: Annotated[int, typer.Option(min=1, max=100, help="Percent of the traffic at first.")] = 10,
    watch: Annotated[float, typer.Option(min=0.5, help="Seconds to look at each step.")] = DEFAULT_WATCH_SECONDS,
    errors: Annotated[float, typer.Option(min=0.0, max=100.0, help="Percent of failures from which it is bad.")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts; the keys are stable.")] = False,
) -> None:
    """Deploy the parts one after another; what went before stays when a later one is taken back."""
    from kirana.deploying.watching import Policy
    from kirana.stack.state import CHECKOUT

    parts = part or ["edge"]
    if unknown := [one for one in parts if one not in PARTS]:
        raise typer.BadParameter(f"{unknown[0]!r}: one of {', '.join(PARTS)} is expected.", param_hint="--part")
    for ending in ENDINGS:
        if signal.getsignal(ending) is not signal.SIG_IGN:  # nohup wants to outlive its terminal
            signal.signal(ending, _take_back)
    try:
        reports = _deploy(source or CHECKOUT, parts, canary, Policy(errors / 100, watch))
    except KeyboardInterrupt:
        said = "Interrupted. What was on trial is taken back; what had replaced an old version by then stays."
        complain(StackFault(said, mend="kirana status"))
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        typer.echo(json.dumps([asdict(report) for report in reports], indent=2))
    else:
        _show(reports)


def _take_back(*_sign: object) -> None:
    """The first one ends the trial; that may then take its time."""
    for ending in ENDINGS:
        signal.signal(ending, signal.SIG_IGN)
    raise Interrupted


def _deploy(source: Path, parts: list[str], percent: int, policy: Policy) -> list[Report]:
    from kirana.configuration import keys
    from kirana.deploying.canary import Deployment, Plan
    from kirana.deploying.ways import EdgeWay, ServiceWay
    from kirana.stack import releases
    from kirana.stack.home import Home
    from kirana.stack.lock import alone
    from kirana.stack.presence import load_running
    from kirana.stack.steps import Steps

    state, steps = load_running(), Steps()
    home = Home(state.home)
    reports = []
    with ExitStack() as held:
        held.enter_context(alone(home.root, on_wait=lambda: steps.note("another kirana command works on this stack")))
        release = releases.take_in(source, home)
        pinned = None if releases.is_checkout(source) else release
        for part in parts:
            plan = Plan(part, release, pinned, percent, policy)
            if part == "edge":
                edges = EdgeWay(home)
                steps.note(f"clients are served by either version at {edges.url}")
                reports.append(Deployment(home, plan, edges, steps).run())
            else:
                store = held.enter_context(keys.connect(state.consul))
                reports.append(Deployment(home, plan, ServiceWay(home, state, part, store), steps).run())
    return reports


def _show(reports: list[Report]) -> None:
    console = Console(highlight=False)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("part", "version", "requests on trial", "failed", "with all traffic", "failed"):
        table.add_column(title, justify="left" if title in {"part", "version"} else "right")
    for one in reports:
        figures = (one.trial.canary.total, one.trial.canary.failed, one.full.canary.total, one.full.canary.failed)
        table.add_row(escape(one.part), one.release, *map(str, figures))
    console.print(table)
    console.print("[green]✓[/] The new version serves.")
