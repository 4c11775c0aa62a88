"""``kirana logs``: every line of one request, or of everything, across all processes, without Elasticsearch."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.text import Text

from kirana.logbook import LEVELS, Entry, Query, entries, field, follow, instance_of, parse_ago
from kirana.stack import state
from shared.values.times import now

DEFAULT_SINCE = "10m"
_STYLES = {"debug": "dim", "info": "green", "warning": "yellow", "error": "bold red", "critical": "bold white on red"}
_SHOWN_ELSEWHERE = {"@timestamp", "message", "ecs", "log", "service", "process", "error"}
_DULL = {"event.action", "event.dataset", "http.request.id"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("logs")(logs)


def logs(  # noqa: PLR0913 - one parameter per option of the command line
    *,
    request: Annotated[str | None, typer.Option(help="Only the lines of the request with this id.")] = None,
    service: Annotated[str | None, typer.Option(help="Only this service (order) or instance (order-1).")] = None,
    level: Annotated[str | None, typer.Option(help="This level or worse: debug, info, warning, error.")] = None,
    since: Annotated[
        str | None, typer.Option(help="How far back: 90s, 5m, 2h. Default 10m, or all with --request.")
    ] = None,
    tail: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come; end with Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The lines as they were written, for scripts.")] = False,
) -> None:
    """Show what the processes logged, merged by time.

    Example: kirana logs --request 0199c2f4-…  |  kirana logs --service order --level warning --follow
    """
    spool = state.load(state.home()).spool
    show = _write_json if as_json else _Printer()
    query = Query(request, service, _level(level), _cutoff(since or (None if request else DEFAULT_SINCE)))
    shown = 0
    for shown, entry in enumerate(entries(spool, query), start=1):  # noqa: B007 - the count is used below
        show(entry)
    if tail:
        _follow(spool, query, show)
    elif not shown:
        _say_that_there_is_none(request, since)


def _say_that_there_is_none(request: str | None, since: str | None) -> None:
    """Raises :class:`typer.Exit` for a request that nobody knows: whoever gave its id expects lines."""
    to = Console(stderr=True, highlight=False, soft_wrap=True)
    if request is None:
        to.print(f"No such line in the last {since or DEFAULT_SINCE}. To look further back: --since 1d", markup=False)
        return
    to.print(f"No line of a request {request}" + (f" in the last {since}." if since else "."), markup=False)
    raise typer.Exit(1)


def _follow(spool: Path, query: Query, show: Any) -> None:
    try:
        for fresh in follow(spool, query):
            for entry in fresh:
                show(entry)
            sys.stdout.flush()
    except KeyboardInterrupt:
        return


def _level(level: str | None) -> str | None:
    if level is not None and level.lower() not in LEVELS:
        raise typer.BadParameter(f"one of {', '.join(LEVELS)} is expected.", param_hint="--level")
    return level.lower() if level else None


def _cutoff(since: str | None) -> datetime | None:
    try:
        return now() - parse_ago(since) if since else None
    except ValueError as fault:
        raise typer.BadParameter(str(fault), param_hint="--since") from None


def _write_json(entry: Entry) -> None:
    sys.stdout.write(orjson.dumps(entry).decode() + "\n")


class _Printer:
    """Prints a line for people: time, who, level, what, the rest as name=value."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True, emoji=False)

    def __call__(self, entry: Entry) -> None:
        level = str(field(entry, "log.level") or "info")
        line = Text(str(entry.get("@timestamp", ""))[11:23], style="dim")
        line.append(f" {instance_of(entry):<15}", style="cyan")
        line.append(f" {level:<8}", style=_STYLES.get(level, ""))
        line.append(f" {entry.get('message', '')}", style="bold" if level != "debug" else "dim")
        for name, value in _details(entry):
            line.append(f" {name}=", style="dim")
            line.append(_shown(name, value))
        self._console.print(line)
        self._print_error(entry)

    def _print_error(self, entry: Entry) -> None:
        trace = field(entry, "error.stack_trace") or field(entry, "error.message")
        if trace:
            self._console.print(Text("    " + str(trace).rstrip().replace("\n", "\n    "), style="red"))


def _details(entry: Entry) -> list[tuple[str, Any]]:
    flat = _flat({name: value for name, value in entry.items() if name not in _SHOWN_ELSEWHERE}, "")
    shown = [(name.removeprefix("labels."), value) for name, value in flat if name not in _DULL]
    request = field(entry, "http.request.id")
    return [*shown, ("request", request)] if request else shown


def _shown(name: str, value: Any) -> str:
    if name == "event.duration" and isinstance(value, int):
        return f"{value / 1_000_000:.1f} ms"
    return str(value)


def _flat(value: Any, name: str) -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        return [(name, value)]
    return [pair for key, part in value.items() for pair in _flat(part, f"{name}.{key}" if name else key)]
