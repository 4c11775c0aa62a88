"""Finds the request that a person means: by its id, a part of it, or a text in which it stands."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kirana.logbook import entry as of
from kirana.logbook.query import Query
from kirana.logbook.reading import entries, first_moment
from kirana.logbook.spools import Archive, Log

SHORTEST_PART = 4
MOST_CANDIDATES = 10
MOST_COMPARED = 200_000
_CLOSE = 3
"""So many characters of an id may be wrong; in two ids of one second fewer are equal by chance."""

_IN_TEXT = (
    re.compile(r'"request_id"\s*:\s*"([^"]+)"'),
    re.compile(r"^x-request-id:\s*(\S+)", re.IGNORECASE | re.MULTILINE),
)
_BARE_UUID = re.compile(r"[0-9a-f]{32}")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-([0-9a-f])[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_VERSION = "7"


@dataclass(frozen=True)
class Candidate:
    """A request whose id may be meant."""

    id: str
    at: str
    what: str


@dataclass(frozen=True)
class Found:
    """``id`` and all its lines when it is clear; else ``candidates``: several with that part, or a similar id."""

    id: str | None
    lines: tuple[of.Entry, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    is_near: bool = False


def id_in(text: str) -> str:
    """The id in a problem document, in an answer as ``curl -i`` shows it, or typed in whatever way ids are."""
    for pattern in _IN_TEXT:
        found = pattern.search(text)
        if found is not None:
            return found[1]
    typed = text.strip().strip("\"'<>,;… ")
    lower = typed.lower()
    if _BARE_UUID.fullmatch(lower):
        return "-".join((lower[:8], lower[8:12], lower[12:16], lower[16:20], lower[20:]))
    return lower if _UUID.fullmatch(lower) else typed


def sought(log: Log, typed: str) -> Found:
    """The request with this id, or the one whose id has this part, or what else may be meant."""
    having = _having(log, typed)
    if typed in having:
        return Found(typed, tuple(having[typed]))
    if len(having) == 1:
        id_, lines = having.popitem()
        return Found(id_, tuple(lines))
    of_trace = tuple(entries(log, Query(trace=typed.replace("-", "")))) if not having and _is_trace(typed) else ()
    if of_trace:
        return Found(of.request_of(of_trace[0]) or typed, of_trace)
    if having:
        return Found(None, candidates=tuple(_described(log, having)))
    near = [id_ for id_ in _recent_ids(log) if _is_near(typed, id_)]
    return Found(None, candidates=tuple(_described(log, near)), is_near=True)


def _is_trace(typed: str) -> bool:
    """Whether it may be the id of a W3C trace, which is as long as one of ours and is told to clients too."""
    return _BARE_UUID.fullmatch(typed.replace("-", "")) is not None


def made_at(id_: str) -> datetime | None:
    """When an id of ours was made: it says so itself (RFC 9562, version 7)."""
    found = _UUID.fullmatch(id_)
    if found is None or found[1] != _VERSION:
        return None
    return datetime.fromtimestamp(int(id_.replace("-", "")[:12], 16) / 1000, UTC)


def why_unknown(log: Log, id_: str) -> str:
    """Why there may be no line of it."""
    made, first = made_at(id_), first_moment(log)
    if isinstance(log, Archive):
        return _why_not_archived(made, first)
    if first is None:
        return "There are no lines at all: has the stack ever run?"
    if made is None:
        return f"The oldest line that is kept is of {first[:19]}."
    when = f"It was made at {made:%Y-%m-%d %H:%M:%S} UTC, "
    if made.isoformat() < first:
        return when + f"and the oldest line that is kept is of {first[:19]}: its lines are gone, or in Elasticsearch."
    return when + "when lines were kept: is it of another stack (KIRANA_HOME, --spool, --elasticsearch)?"


def _why_not_archived(made: datetime | None, first: str | None) -> str:
    if first is None:
        return "There are no lines at all: does a shipper bring any?"
    kept = f"The oldest line that is kept is of {first[:19]}."
    if made is not None and made.isoformat() < first:
        return f"It was made at {made:%Y-%m-%d %H:%M:%S} UTC. {kept}"
    return f"{kept} The newest are some ten seconds late: if it is that young, ask once more."


def _having(log: Log, part: str) -> dict[str, list[of.Entry]]:
    """The lines of every request whose id has it, in the order of time.

    An archive has the whole id in an index, but must look through all ids for a part: so the whole comes first.
    """
    is_far, is_long = isinstance(log, Archive), len(part) >= SHORTEST_PART
    asked = [Query(request=part)] if is_far or not is_long else []
    if is_long and not (is_far and _UUID.fullmatch(part)):
        asked.append(Query(part=part))
    return next(filter(None, (_by_id(entries(log, query)) for query in asked)), {})


def _by_id(lines: Iterable[of.Entry]) -> dict[str, list[of.Entry]]:
    found: dict[str, list[of.Entry]] = {}
    for line in lines:
        found.setdefault(of.request_of(line) or "", []).append(line)
    return found


def _described(log: Log, ids: Iterable[str]) -> list[Candidate]:
    told = {id_: Candidate(id_, "", "") for id_ in list(ids)[-MOST_CANDIDATES:]}
    for line in entries(log, Query(requests=frozenset(told))) if told else ():
        id_ = of.request_of(line) or ""
        if of.action_of(line) in of.OF_REQUESTS or not told[id_].what:
            told[id_] = Candidate(id_, of.stamp_of(line), _what(line))
    return list(told.values())


def _what(line: of.Entry) -> str:
    status = of.field(line, "http.response.status_code")
    parts = (of.field(line, "http.request.method"), of.field(line, "url.path"), status)
    return " ".join(str(part) for part in parts if part) or of.action_of(line)


def _recent_ids(log: Log) -> list[str]:
    """None of an archive's, which has too many to compare."""
    ids: dict[str, None] = {}
    if isinstance(log, Archive):
        return []
    for line in entries(log, Query(actions=of.OF_REQUESTS)):
        for one in of.of_each_request(line):
            if (id_ := of.request_of(one)) is not None:
                ids[id_] = None
    return list(ids)[-MOST_COMPARED:]


def _is_near(typed: str, id_: str) -> bool:
    """A few wrong characters, or one too many, too few or out of its place."""
    if len(typed) == len(id_):
        return sum(a != b for a, b in zip(typed, id_, strict=True)) <= _CLOSE
    if abs(len(typed) - len(id_)) > _CLOSE or typed[:_CLOSE] != id_[:_CLOSE]:
        return False
    matcher = difflib.SequenceMatcher(None, typed, id_, autojunk=False)
    same = sum(block.size for block in matcher.get_matching_blocks())
    return max(len(typed), len(id_)) - same <= _CLOSE


def text_of(what: str, stdin: str | None) -> str:
    """What was given: the text itself, that of standard input (``-``), or that of a file."""
    if what == "-":
        return stdin or ""
    path = Path(what)
    if len(what) < 1024 and path.is_file():  # noqa: PLR2004 - no file's name is longer
        return path.read_text(errors="replace")
    return what
