"""``kirana logs``: what became of one request and why, which requests fail, and every line, wherever the log is."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from kirana.commands.logs_about_many import show_failures, show_slowest
from kirana.commands.logs_about_one import show_request
from kirana.commands.logs_elasticsearch import URL, check, how_again, log_of, shortfalls_of
from kirana.commands.logs_output import console_of, say, write_json
from kirana.commands.logs_spool import VARIABLE
from kirana.commands.logs_window import in_order, nothing, within
from kirana.logbook.entry import LEVELS
from kirana.logbook.following import follow
from kirana.logbook.query import Query
from kirana.logbook.reading import entries
from kirana.logbook.showing import show_line
from kirana.logbook.spools import Archive, Log, Spool
from kirana.logbook.times import parse_ago, parse_moment
from shared.values.times import now

DEFAULT_SINCE = "10m"
SINCE_OF_SUMMARIES = "1h"
_TRACE = re.compile(r"[0-9a-f]{32}")
_STATUS = re.compile(r"[1-5](\d\d|xx)", re.IGNORECASE)


HELP = """Show what the processes logged: of one request why it failed and all its work as a tree, else line by line.

\b
kirana logs 01a1fe39-62c3-73d8               what became of this request, and why
curl -si $SHOP/api/cart | kirana logs -      the same, from an answer
kirana logs --errors                         what failed, by cause
kirana logs --slow --route checkout          the slowest, and where the time went
kirana logs --service order --level error -f errors of one service, as they come
kirana logs --user 01a1fe39 --status 4xx     what one user was refused
kirana logs --spool a --spool b 01a1fe39     of no local stack, but of folders copied from containers
kirana logs --elasticsearch https://localhost:9200 01a1fe39
                                             of lines that were shipped, by pods that are gone too

\b
Who asks Elasticsearch is said by the environment: KIRANA_ELASTICSEARCH_USER
(role kirana_reader) and KIRANA_ELASTICSEARCH_PASSWORD_FILE, or
KIRANA_ELASTICSEARCH_API_KEY_FILE; whom to trust, KIRANA_ELASTICSEARCH_CA.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("logs", help=HELP)(logs)


def logs(  # noqa: PLR0913 - one parameter per option of the command line
    *,
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[ID]",
            help="A request's id, a part of it, or a file (- for standard input) with the problem document or the "
            "answer as curl -i shows it.",
        ),
    ] = None,
    request: Annotated[str | None, typer.Option(help="The same as the ID.")] = None,
    trace: Annotated[str | None, typer.Option(help="Only lines of this trace (32 hexadecimal digits).")] = None,
    service: Annotated[str | None, typer.Option(help="Only this service (order) or instance (order-1).")] = None,
    level: Annotated[str | None, typer.Option(help="This level or worse: debug, info, warning, error.")] = None,
    route: Annotated[str | None, typer.Option(help="Only this route or method: checkout, order.checkout.")] = None,
    status: Annotated[str | None, typer.Option(help="Only requests answered so: 503, 5xx.")] = None,
    user: Annotated[str | None, typer.Option(help="Only what this user did: the id, or its first 8 digits.")] = None,
    text: Annotated[str | None, typer.Option("--text", "-t", help="Only lines in which this stands.")] = None,
    slower: Annotated[str | None, typer.Option("--slower", help="Only work that took so long: 250ms, 2s.")] = None,
    since: Annotated[
        str | None,
        typer.Option(help="How far back (90s, 5m, 2h) or from when (13:08, UTC). Default 10m; with an ID all."),
    ] = None,
    until: Annotated[str | None, typer.Option(help="Up to when, in the same ways.")] = None,
    errors: Annotated[bool, typer.Option("--errors", help="What failed in the last hour, by cause, and why.")] = False,
    slow: Annotated[bool, typer.Option("--slow", help="The slowest requests of the last hour, and where.")] = False,
    most: Annotated[int, typer.Option(min=1, help="So many rows of --errors and --slow.")] = 20,
    spool: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            envvar=VARIABLE,
            help="Read this folder of .jsonl files, not the local stack's: of a container, or a copy. Repeatable.",
        ),
    ] = None,
    elasticsearch: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Ask the Elasticsearch to which lines are shipped. Where there is neither a local stack nor a spool, "
            f"{URL} says which.",
        ),
    ] = None,
    lines: Annotated[bool, typer.Option("--lines", help="Of a request its plain lines, not the tree.")] = False,
    traces: Annotated[bool, typer.Option("--traces", help="Of a request also the whole stack traces.")] = False,
    tail: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come; end with Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The lines as they were written, for scripts.")] = False,
) -> None:
    """Read the options, and show what they ask for."""
    where = log_of(elasticsearch, spool)
    check(where, is_followed=tail, text=text)
    query = replace(
        _read(since, until, slower),
        trace=_trace(trace),
        service=service,
        level=_level(level),
        route=route,
        status=_status(status),
        user=user,
        text=text,
    )
    wanted = request or what
    command = how_again(elasticsearch, spool)
    try:
        if wanted is not None and not tail:
            style = _style(lines=lines, as_json=as_json, traces=traces)
            show_request(where, wanted, in_order(query), style, command=command)
            return
        default = SINCE_OF_SUMMARIES if errors or slow else DEFAULT_SINCE
        query = within(query, default)
        if errors:
            what, are_any = "Nothing has failed", show_failures(where, query, most, as_json=as_json, command=command)
        elif slow:
            what, are_any = "No work has ended", show_slowest(where, query, most, as_json=as_json)
        else:
            query = replace(query, request=wanted)
            what, are_any = "No such line", _show_lines(where, query, is_followed=tail, as_json=as_json)
        if not are_any:
            say(nothing(what, where, query, default=default if since is None else ""))
    finally:
        say(*shortfalls_of(where))


def _style(*, lines: bool, as_json: bool, traces: bool) -> str:
    if as_json:
        return "json"
    return "lines" if lines else "traces" if traces else "tree"


def _show_lines(log: Log, query: Query, *, is_followed: bool, as_json: bool) -> bool:
    """Whether there were any, or more may come."""
    show = write_json if as_json else partial(show_line, to=console_of())
    shown = 0
    for shown, entry in enumerate(entries(log, query), start=1):  # noqa: B007 - the count is used below
        show(entry)
    if is_followed and not isinstance(log, Archive):
        _follow(log, query, show)
    return is_followed or shown > 0


def _follow(spool: Spool, query: Query, show: Any) -> None:
    sys.stdout.flush()
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


def _trace(trace: str | None) -> str | None:
    """As it stands in the lines."""
    plain = trace.replace("-", "").lower() if trace is not None else None
    if plain is not None and not _TRACE.fullmatch(plain):
        raise typer.BadParameter("32 hexadecimal digits are expected.", param_hint="--trace")
    return plain


def _status(status: str | None) -> str | None:
    if status is not None and not _STATUS.fullmatch(status):
        raise typer.BadParameter("a status such as 503, or a class such as 5xx is expected.", param_hint="--status")
    return status


def _read(since: str | None, until: str | None, slower: str | None) -> Query:
    moment = now()
    given = {"since": since, "until": until, "slower": slower}
    found: dict[str, Any] = {}
    for name, text in given.items():
        if text is not None:
            try:
                found[name] = parse_ago(text) if name == "slower" else parse_moment(text, now=moment)
            except ValueError as fault:
                raise typer.BadParameter(str(fault), param_hint=f"--{name}") from None
    return Query(**found)
