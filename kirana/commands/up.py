"""``kirana up``: the whole shop on this machine, and what one needs to know to use it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from kirana.backup.restoring import refuse_unfinished
from kirana.commands.complaint import complain
from kirana.commands.typed import as_typed
from kirana.stack import state as stack_state
from kirana.stack.bring_up import bring_up
from kirana.stack.faults import StackFault
from kirana.stack.home import Home
from kirana.stack.programs import SERVICES, Wishes
from kirana.stack.state import StackState
from kirana.stack.steps import Steps

MOST_INSTANCES = 16
INTERRUPTED = 130
"""As shells say it: 128 and the number of the signal."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("up")(up)


def up(
    *,
    edge_workers: Annotated[int, typer.Option(min=1, max=MOST_INSTANCES, help="Processes that serve HTTP.")] = 1,
    scale: Annotated[list[str] | None, typer.Option(help="Instances of a service, such as catalog=2.")] = None,
    seed: Annotated[bool, typer.Option("--seed/--no-seed", help="Stock an empty shop with demo products.")] = True,
) -> None:
    """Start everything that does not run yet, and wait until it is ready.

    Example: kirana up --edge-workers 2 --scale catalog=2
    """
    wishes = Wishes(edge_workers=edge_workers, scale=instances(scale or []), seed=seed)
    steps = Steps()
    steps.end_on_interrupt()
    try:
        home = Home(stack_state.home())
        refuse_unfinished(home)
        state = bring_up(home, wishes, steps)
    except KeyboardInterrupt:
        complain(StackFault("Interrupted. What has started goes on.", mend="kirana up   (or: kirana down)"))
        raise typer.Exit(INTERRUPTED) from None
    _show(state, steps.elapsed)


def instances(words: list[str]) -> dict[str, int]:
    """``["catalog=2"]`` as ``{"catalog": 2}``. Raises :class:`typer.BadParameter`."""
    found = {}
    for word in words:
        service, _, number = word.partition("=")
        if service not in SERVICES:
            raise typer.BadParameter(
                f"{service!r} is no service. There are: {', '.join(SERVICES)}.", param_hint="--scale"
            )
        if not number.isdecimal() or not 1 <= int(number) <= MOST_INSTANCES:
            raise typer.BadParameter(
                f"{word!r}: a number from 1 to {MOST_INSTANCES} is expected.", param_hint="--scale"
            )
        found[service] = int(number)
    return found


def _show(state: StackState, seconds: float) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"\n[green]The shop is open[/] (after {seconds:.0f} s).\n")
    for name, address in addresses(state):
        console.print(f"[bold]{name:<26}[/] {escape(address)}")
    console.print("\nLook at the shelves, and log in as the administrator:\n")
    for command in examples(state):
        console.print(f"  {escape(command)}")
    demo, down = as_typed("kirana demo"), as_typed("kirana down")
    console.print(f"\nNext: [bold]{demo}[/] walks a whole purchase; [bold]{down}[/] stops everything.")


def addresses(state: StackState) -> list[tuple[str, str]]:
    """Every address with its credentials, for people."""
    return [
        ("Shop", state.edge_url),
        ("How it is", f"{state.edge_url}/status"),
        ("API documentation", f"{state.edge_url}/docs"),
        ("Administrator", f"{state.admin_username} / {state.admin_password}"),
        ("RabbitMQ", state.amqp),
        ("RabbitMQ management", state.management),
        ("Redis (carts)", ", ".join(state.redis_carts)),
        ("Redis (edge)", state.redis_edge),
        *((f"PostgreSQL ({service})", dsn) for service, dsn in state.postgres.items()),
        ("Consul", f"{state.consul}/ui" if state.consul else "not here; everything works without"),
        ("Mail (SMTP)", state.smtp),
        ("Metrics", f"{state.metrics.get('edge', 'none')}; of each service: kirana status"),
        ("Data and logs", str(state.home)),
    ]


def examples(state: StackState) -> list[str]:
    """Commands that work when pasted."""
    login = f'{{"username": "{state.admin_username}", "password": "{state.admin_password}"}}'
    return [
        f"curl -s '{state.edge_url}/api/products?limit=3'",
        f"curl -s {state.edge_url}/api/token -H 'Content-Type: application/json' -d '{login}'",
    ]
