"""``kirana config``: what may change while the shop runs, with a history of who changed what."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from kirana.stack.faults import StackFault

if TYPE_CHECKING:
    from kirana.configuration.history import Author, Change

HELP = """See and change what all edges work by: the route table, and the limits in it.

\b
kirana config get limits                        what is in force, as a document
kirana config set limits browse=600/60 --reason "flash sale"
kirana config set routes my-routes.yaml         checked as an edge would, then put in force
kirana config history                           who changed what, when and why
kirana config history 7                         what change 7 did
kirana config rollback 6                        back to the table of change 6
kirana config rollback 0                        back to every edge's own file
kirana config access --into docker/secrets      least rights and a token for every process

\b
The local stack's Consul is meant, unless --consul or KIRANA_CONSUL_URL names
another; a token is read from KIRANA_CONSUL_TOKEN_FILE. The history names you as
KIRANA_OPERATOR says, else as this machine does.
Exit status: 0 well, 9 somebody else was faster, 78 the document cannot be used.
"""

AsJson = Annotated[bool, typer.Option("--json", help="For scripts; the keys are stable.")]
Url = Annotated[str | None, typer.Option("--consul", help="A Consul other than the local stack's.")]
Reason = Annotated[str, typer.Option(help="Why, for those who read the history.")]
IfVersion = Annotated[str | None, typer.Option(help="Change only this version.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    config = typer.Typer(help=HELP, no_args_is_help=True)
    commands: dict[str, Callable[..., None]] = {
        "get": get,
        "set": set_,
        "history": history,
        "rollback": rollback,
        "seed": seed,
        "access": access,
    }
    for name, command in commands.items():
        config.command(name)(command)
    app.add_typer(config, name="config")


def get(
    name: Annotated[str, typer.Argument(metavar="[routes|limits]")] = "routes",
    *,
    consul: Url = None,
    as_json: AsJson = False,
) -> None:
    """Print a document as it stands; what no Consul holds is the edge's own file.

    Example: kirana config get limits > limits.yaml
    """
    from kirana.configuration import documents, history, keys

    with keys.connect(consul) as store:
        book = history.read(store)
    text = book.text or documents.packaged()
    wanted = documents.limits_of(text) if _known(name) == "limits" else text
    if as_json:
        typer.echo(json.dumps({"name": name, "version": book.version, "text": wanted}, indent=2))
    else:
        typer.echo(wanted, nl=False)


def set_(
    name: Annotated[str, typer.Argument(metavar="routes|limits")],
    source: Annotated[list[str], typer.Argument(metavar="FILE|-|NAME=QUOTA/SECONDS")],
    *,
    reason: Reason = "",
    if_version: IfVersion = None,
    consul: Url = None,
) -> None:
    """Put a document in force on every edge, if it is without fault and nobody else changes it meanwhile.

    Example: kirana config set limits browse=600/60 order=30/60 --reason "flash sale"
    """
    from kirana.configuration import documents, history, keys

    with keys.connect(consul) as store:
        book = history.read(store)
        text = _text(source)
        if _known(name) == "limits":
            text = documents.with_limits(book.text or documents.packaged(), documents.read_limits(text))
        seen = book.version if if_version is None else if_version
        _put(lambda author: history.put(store, text, author, if_version=seen), reason)


def history(
    number: Annotated[int | None, typer.Argument(metavar="[NUMBER]")] = None,
    *,
    consul: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show who changed the table, when and why; with a number, what that change did.

    Example: kirana config history 7
    """
    from kirana.configuration import history as kept
    from kirana.configuration import keys, showing

    with keys.connect(consul) as store:
        book = kept.read(store)
    console = Console(highlight=False)
    if as_json:
        typer.echo(json.dumps([showing.as_json(one) for one in (kept.BEGINNING, *book.changes)], indent=2))
    elif number is not None:
        showing.show_change(console, book, number)
    else:
        showing.show_history(console, book)


def rollback(
    number: Annotated[int, typer.Argument(metavar="NUMBER")],
    *,
    reason: Reason = "",
    consul: Url = None,
) -> None:
    """Put the table of an earlier change in force again; that is a change of its own.

    Change 0 is what was before the first: no table in Consul, and each
    edge serves by the file that it brings along.

    Example: kirana config rollback 6 --reason "too strict"
    """
    from kirana.configuration import history, keys

    with keys.connect(consul) as store:
        book = history.read(store)
        earlier = book.change(number)
        if earlier.text is None and book.current is None:
            Console(highlight=False).print("No table is there: each edge serves by its own file. Nothing was changed.")
            return
        said = f"back to {number}" + (f": {reason}" if reason else "")
        _put(lambda author: history.put(store, earlier.text, author, if_version=book.version), said)


def seed(
    *,
    file: Annotated[Path | None, typer.Option(help="Limits to lay over its own; - is standard input.")] = None,
    consul: Url = None,
) -> None:
    """Give a Consul that holds no table the packaged one; one that holds any is left alone.

    Example: kirana config seed --file consul/seeds/limits.yaml
    """
    from kirana.configuration import documents, history, keys

    with keys.connect(consul) as store:
        if history.read(store).current is not None:
            Console(highlight=False).print("A table is there already: nothing was changed.")
            return
        text = documents.packaged()
        if file is not None:
            text = documents.with_limits(text, documents.read_limits(_read(str(file))))
        _put(lambda author: history.put(store, text, author, if_version=""), "seeded")


def access(
    into: Annotated[Path, typer.Option(help="The folder for the tokens.")],
    *,
    bootstrap: Annotated[bool, typer.Option("--bootstrap", help="Take the first token of a new Consul.")] = False,
    policies: Annotated[Path | None, typer.Option(help="Policies elsewhere than in consul/policies.")] = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds for a Consul that is still beginning.")] = 0,
    consul: Url = None,
) -> None:
    """Bring the policies of consul/policies up to date, and leave a token for each process kind; runs again and again.

    Tokens that lie in the folder, as kirana secrets draws them, are made
    known to a Consul that does not know them. With --wait a Consul that
    cannot be reached, or whose access control is not there yet, is asked
    again until that time is over.

    Example: kirana config access --bootstrap --into docker/secrets --consul http://consul:8500
    """
    from kirana.configuration import access as rights
    from kirana.configuration import beginning, keys, tokens

    console = Console(highlight=False, soft_wrap=True)
    with keys.connect(consul) as store:
        beginning.await_access_control(store, wait)
        if bootstrap:
            path = rights.take_first(store, into)
            console.print(f"The first token, which may do everything, lies in {path}. Keep it away from every process.")
            store.use(path.read_text(encoding="utf-8").strip())
        for one in rights.grant(store, into, policies or tokens.POLICIES):
            console.print(f"[green]✓[/] {one.name:<14} {one.path} {'[dim](as before)[/]' if not one.is_new else ''}")


def _known(name: str) -> str:
    from kirana.configuration.documents import NAMES

    if name not in NAMES:
        raise typer.BadParameter(f"{name!r}: one of {', '.join(NAMES)} is expected.")
    return name


def _text(source: list[str]) -> str:
    if all("=" in word and "/" in word.partition("=")[2] for word in source):
        return " ".join(source)
    if len(source) > 1:
        raise typer.BadParameter(f"one file is expected, not {len(source)}.")
    return _read(source[0])


def _read(file: str) -> str:
    if file == "-":
        return sys.stdin.read()
    try:
        return Path(file).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise StackFault(f"{file} is no text in UTF-8.") from None


def _put(change: Callable[[Author], Change], reason: str) -> None:
    from kirana.configuration.history import author_here

    done = change(author_here(reason))
    Console(highlight=False).print(
        f"[green]✓[/] Change [bold]{done.number}[/]: version {done.version or 'none'}. Edges have it within moments."
    )
