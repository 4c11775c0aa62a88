"""Which span of time ``kirana logs`` looks at, and what it says when nothing lies in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import typer

from kirana.logbook.query import Query
from kirana.logbook.reading import first_moment
from kirana.logbook.spools import Log
from kirana.logbook.times import parse_ago
from shared.values.times import now

FURTHER_BACK = "1d"


def within(query: Query, default: str) -> Query:
    """The query with a beginning, ``default`` ago unless told. Raises ``BadParameter`` when it ends before that."""
    begun = query if query.since is not None else replace(query, since=now() - parse_ago(default))
    return in_order(begun, "" if query.since is not None else f" ({default} ago unless told otherwise)")


def in_order(query: Query, whence: str = "") -> Query:
    """The query itself. Raises ``BadParameter`` when it ends before it begins, for then no line can be in it."""
    if query.since is not None and query.until is not None and query.until < query.since:
        raise typer.BadParameter(
            f"{_shown(query.until)} is before --since, which is {_shown(query.since)}{whence}: the other way round is "
            "expected.",
            param_hint="--until",
        )
    return query


def nothing(what: str, log: Log, query: Query, *, default: str) -> str:
    """That there is nothing in the query's time; ``default`` is how far back it goes if nobody told, else empty."""
    until = f" and until {_shown(query.until)}" if query.until is not None else ""
    since = f" since {_shown(query.since)}" if query.since is not None else ""
    if default:
        return f"{what}{since} ({default} unless told otherwise){until}. To look further back: --since {FURTHER_BACK}"
    oldest = first_moment(log)
    kept = f"The oldest line that is kept is of {oldest[:19]}." if oldest else "There are no lines at all."
    return f"{what}{since}{until}. {kept}"


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
