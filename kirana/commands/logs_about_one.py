"""``kirana logs ID``: one request's story, whichever way its id was given."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial

import typer

from kirana.commands.logs_output import console_of, say, write_json
from kirana.commands.typed import as_typed
from kirana.logbook.entry import Entry
from kirana.logbook.identifying import SHORTEST_PART, Candidate, Found, id_in, sought, text_of, why_unknown
from kirana.logbook.query import Query
from kirana.logbook.showing import show_line
from kirana.logbook.spools import Log
from kirana.logbook.story import story_of
from kirana.logbook.story_showing import show_story


def show_request(log: Log, given: str, query: Query, style: str, *, command: str) -> None:
    """Raises :class:`typer.Exit` where the id is that of no request, or not clear: whoever gave it expects lines."""
    wanted = id_in(text_of(given, sys.stdin.read() if given == "-" else None))
    if not wanted:
        say("No id was given: " + ("standard input was empty." if given == "-" else "there is none in what was given."))
        raise typer.Exit(1)
    found = sought(log, wanted)
    if found.id is None:
        _say_that_it_is_not_clear(log, wanted, found, command)
        raise typer.Exit(1)
    lines = [line for line in found.lines if query.wants(line)]
    if not lines:
        say(f"Of the request {found.id} there are {len(found.lines)} lines, but none that is wanted so.")
        raise typer.Exit(1)
    if style in {"json", "lines"}:
        _show_lines(lines, as_json=style == "json")
    else:
        show_story(story_of(found.id, lines, log), console_of(is_table=True), with_traces=style == "traces")


def _show_lines(lines: Sequence[Entry], *, as_json: bool) -> None:
    show = write_json if as_json else partial(show_line, to=console_of())
    for line in lines:
        show(line)


def _say_that_it_is_not_clear(log: Log, wanted: str, found: Found, command: str) -> None:
    if found.candidates and not found.is_near:
        say(f"{wanted!r} stands in the ids of several requests, the last of which are:")
    else:
        say(f"No line of a request {wanted}.", why_unknown(log, wanted))
        if len(wanted) < SHORTEST_PART:
            say(f"If that is a part of an id: type at least {SHORTEST_PART} characters of it.")
        if found.candidates:
            say("Perhaps one of these is meant:")
    for candidate in found.candidates:
        say("  " + _shown(candidate, command))


def _shown(candidate: Candidate, command: str) -> str:
    return f"{as_typed(f'{command} {candidate.id}')}   {candidate.at[:19].replace('T', ' ')}  {candidate.what}"
