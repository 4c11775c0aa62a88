"""``kirana events``: what the services could not handle, and how it goes back or away."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from kirana.commands.typed import as_typed
from kirana.parking import address, showing
from kirana.parking.choosing import Choice, is_name
from kirana.parking.ledger import Ledger
from kirana.parking.lot import Lot
from kirana.parking.message import Parked, Summary
from kirana.parking.moving import Moved, drop, look, replay
from kirana.stack import state
from kirana.stack.definitions import METHODS
from kirana.stack.faults import StackFault
from shared.values.times import now

HELP = """See what the services could not handle, put it back, or throw it away.

\b
An event whose handler fails is tried again after 1, 5 and 30 seconds, and
then parked. A message that makes no sense is parked at once. Nobody but you
does anything about it. Of each service 10,000 events are kept, and 10,000
calls beside them: of more the oldest go.

\b
kirana events parked               what is parked, where it failed and why
kirana events parked 3f9c2a1b      one message whole, but for its secrets
kirana logs --request ID           what happened on that request
kirana events replay --from QUEUE  after the handler was mended: once more
kirana events drop 3f9c2a1b        for good; a copy goes to a file

\b
The broker is the local stack's, or the one that KIRANA_AMQP_URL (or
KIRANA_AMQP_URL_FILE) names. It takes the operator's user: those of the
services may not read what others have parked.
"""


def _named(service: str | None) -> str | None:
    """What stands behind ``--service``. Raises :class:`typer.BadParameter` for what no service can be called."""
    if service is not None and not is_name(service):
        raise typer.BadParameter(f"{service[:40]!r} is no name of a service.")
    return service


Ids = Annotated[list[str] | None, typer.Argument(help="Ids as 'parked' shows them; the first digits are enough.")]
Service = Annotated[str | None, typer.Option(help="Only what this service has parked.", callback=_named)]
Origin = Annotated[str | None, typer.Option("--from", help="Only what failed in this queue.")]
Everything = Annotated[bool, typer.Option("--all", help="Whatever is parked.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    events = typer.Typer(help=HELP, no_args_is_help=True)
    events.command("parked")(parked)
    events.command("replay")(put_back)
    events.command("drop")(throw_away)
    app.add_typer(events, name="events")


def parked(
    message: Annotated[str | None, typer.Argument(metavar="[ID]", help="Show this message whole.")] = None,
    *,
    service: Service = None,
    origin: Origin = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts; the keys are stable.")] = False,
) -> None:
    """List what is parked, or show one message whole. Looking changes nothing.

    Example: kirana events parked --service notification  |  kirana events parked 3f9c2a1b
    """
    if message:
        _show_one(message, service, origin, as_json=as_json)
        return
    with _lot() as lot:
        found = Choice((), origin).of(look(lot, _services(lot, service)))
    if as_json:
        _write_json([showing.document_of(each) for each in found])
    elif found:
        showing.console().print(showing.table_of(found, title=f"{len(found):,} parked"))
        _say("One of them whole: kirana events parked ID")
    else:
        _say("Nothing is parked" + (f" by {service}" if service else "") + (f" from {origin}" if origin else "") + ".")


def put_back(
    ids: Ids = None,
    *,
    everything: Everything = False,
    service: Service = None,
    origin: Origin = None,
    yes: Yes = False,
) -> None:
    """Give parked events to their handlers again, as if they had just happened. Exit status 1 if any stays parked.

    Only the handler that failed gets the event, not the others that have
    had it. An event that its handler has dealt with before has no second
    effect. Calls stay parked: whoever sent one was told that it failed.

    Example: kirana events replay --from evt-order-order.placed--notification.on_order_placed --yes
    """
    chosen, known = _chosen(Choice(tuple(ids or ()), origin), service, everything=everything)
    if not chosen:
        return
    if not (ids or yes):
        _confirm(chosen, known, "Replay")
    with _lot() as lot, _progress("Replaying", len(chosen)) as advance:
        moved = replay(lot, chosen, now, advance)
    _finish(moved, "replayed")


def throw_away(
    ids: Ids = None,
    *,
    everything: Everything = False,
    service: Service = None,
    origin: Origin = None,
    yes: Yes = False,
) -> None:
    """Remove parked messages for good. Each is first written to a file, as it was, that only you can read.

    Example: kirana events drop 3f9c2a1b  |  kirana events drop --service catalog --yes
    """
    chosen, known = _chosen(Choice(tuple(ids or ()), origin), service, everything=everything)
    if not chosen:
        return
    if yes:
        _preview(chosen, known, "Drop")
    else:
        _confirm(chosen, known, "Drop")
    ledger = Ledger(state.home())
    with _lot() as lot, _progress("Dropping", len(chosen)) as advance:
        moved = drop(lot, chosen, ledger, now, advance)
    if moved.done:
        _say(f"What was dropped is in {ledger.path}, secrets included.")
    _finish(moved, "dropped")


def _lot() -> Lot:
    return Lot(address.find(os.environ), on_wait=lambda: _say("Somebody else is at the parked messages: waiting."))


def _services(lot: Lot, service: str | None) -> Sequence[str]:
    if service is None:
        return tuple(METHODS)
    if not lot.has(service):
        raise StackFault(f"No service {service!r} has ever run here.", mend="kirana events parked")
    return (service,)


def _show_one(typed: str, service: str | None, origin: str | None, *, as_json: bool) -> None:
    with _lot() as lot:
        services = _services(lot, service)
        meant = Choice((typed,), origin).of(look(lot, services))[0]
        kept: list[Parked] = []
        look(lot, (meant.service,), full=lambda each: kept.append(each) if each.summary.id == meant.id else None)
    if not kept:
        raise StackFault(f"The message {typed!r} has just gone.", mend="kirana events parked")
    if as_json:
        _write_json(showing.whole_document_of(kept[0]))
    else:
        showing.show_whole(kept[0], showing.console())


def _chosen(choice: Choice, service: str | None, *, everything: bool) -> tuple[list[Summary], list[Summary]]:
    """The messages that are meant, and all that were looked at."""
    if everything == bool(choice.ids or choice.origin or service):
        raise typer.BadParameter("say which: ids, --service, --from, or --all by itself.")
    with _lot() as lot:
        known = look(lot, _services(lot, service))
    found = choice.of(known)
    if not found:
        _say("Nothing of that is parked.")
    return found, known


def _preview(chosen: Sequence[Summary], known: Sequence[Summary], verb: str) -> None:
    table = showing.table_of(chosen, title=f"{verb} {len(chosen):,}", known=known)
    showing.console(to_stderr=True).print(table)


def _confirm(chosen: Sequence[Summary], known: Sequence[Summary], verb: str) -> None:
    """Raises :class:`StackFault` unless somebody agrees."""
    _preview(chosen, known, verb)
    try:
        agreed = typer.confirm(f"{verb} {len(chosen):,}?", err=True)
    except typer.Abort:
        _say("")
        raise StackFault("Nobody said yes: nothing was changed.", mend="the same with --yes") from None
    if not agreed:
        raise StackFault("Nothing was changed.")


@contextmanager
def _progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    to = showing.console(to_stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=to, transient=True, disable=not to.is_terminal) as progress:
        task = progress.add_task(title, total=total)
        yield lambda count: progress.advance(task, count)


def _finish(moved: Moved, verb: str) -> None:
    showing.show_moved(moved, verb, showing.console())
    if not moved.is_whole:
        _say("What is still parked: kirana events parked")
        raise typer.Exit(1)


def _write_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def _say(text: str) -> None:
    typer.echo(as_typed(text), err=True)
