"""Gathers everything about one request: its lines, what came of it, and what else went wrong meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from kirana.logbook import entry as of
from kirana.logbook.entry import LEVELS, Entry
from kirana.logbook.query import Query
from kirana.logbook.reading import entries
from kirana.logbook.spans import Span, tree_of
from kirana.logbook.spools import Log
from kirana.logbook.verdict import Verdict, judged

BEFORE = timedelta(seconds=30)
AFTER = timedelta(seconds=5)
MOST_MEANWHILE = 8
_CHANGES = frozenset(
    {
        "service.started", "service.stopping", "edge.worker.open", "edge.worker.closed", "broker.connected",
        "rpc.link.opened",
    }
)  # fmt: skip
"""What no alarm is, but tells that something was stopped, or started anew."""

_OF_ALL = frozenset({"rpc.breaker.changed", "upstream.breaker.changed"})
"""What one request brings about, and all others feel."""

_TELLING = _CHANGES | {level for level in LEVELS if of.rank(level) >= of.rank("warning")}
"""One of these stands in every line that :func:`_tells` lets through."""


@dataclass(frozen=True)
class Story:
    """``meanwhile`` are other lines that may explain it, oldest first; only trouble has any."""

    id: str
    lines: tuple[Entry, ...]
    roots: tuple[Span, ...]
    verdict: Verdict
    meanwhile: tuple[Entry, ...] = ()


def story_of(id_: str, lines: list[Entry], log: Log | None = None) -> Story:
    """The story that these lines tell; with a ``log`` to look in, also of what happened around them."""
    roots = tree_of(lines)
    verdict = judged(roots)
    around = _meanwhile(log, lines, verdict) if log is not None and verdict.culprit is not None else []
    return Story(id_, tuple(lines), tuple(roots), verdict, tuple(around))


def _meanwhile(log: Log, lines: list[Entry], verdict: Verdict) -> list[Entry]:
    if verdict.outcome == "refused":
        return []
    first, last = of.moment_of(lines[0]), of.moment_of(lines[-1])
    if first is None or last is None:
        return []
    around = entries(log, Query(since=first - BEFORE, until=last + AFTER, words=_TELLING, common=_OF_ALL))
    found = [line for line in around if _is_of_all(line, of.request_of(lines[0])) and _tells(line)]
    named = {word for span in verdict.path for word in (span.where, span.name.partition(".")[0])}
    about = [line for line in found if _names(line, named)]
    chosen = about[-MOST_MEANWHILE:]
    chosen += [line for line in reversed(found) if line not in about][: MOST_MEANWHILE - len(chosen)]
    return sorted(chosen, key=of.stamp_of)


def _is_of_all(line: Entry, request: str | None) -> bool:
    if isinstance(of.field(line, "http.request.id"), list):  # several others'
        return False
    owner = of.request_of(line)
    return owner is None or (owner != request and of.action_of(line) in _OF_ALL)


def _tells(line: Entry) -> bool:
    return of.rank_of(line) >= of.rank("warning") or of.action_of(line) in _CHANGES


def _names(line: Entry, named: set[str]) -> bool:
    labels = line.get("labels")
    told = set(labels.values()) if isinstance(labels, dict) else set()
    return bool(named & {of.instance_of(line), str(of.field(line, "service.name"))} or named & {str(v) for v in told})
