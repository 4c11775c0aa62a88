"""Puts the lines of one request together as a tree of pieces of work: who asked whom, when, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum

from kirana.logbook import entry as of
from kirana.logbook.entry import Entry

UNREADABLE = frozenset({"rpc.call_unreadable", "event.unreadable"})
CANONICAL = of.OF_REQUESTS | {"rpc.call", "event.handled", "edge.turned_away"} | UNREADABLE
UNANSWERED = "rpc.not_answered"
LATEST_SKEW = timedelta(milliseconds=20)
"""Without span ids a call is looked for within its caller's time; clocks of two machines may differ by so much."""

_SERVER_FAULT, _CLIENT_GONE, _CLIENT_FAULT = 500, 499, 400
_NOT_NOW = frozenset({"internal", "service.unavailable", "deadline.passed", "outcome.unknown", "upstream.unusable"})


class Trouble(IntEnum):
    """What came of a piece of work, worse ones last. ``REFUSED`` is a rule's no: nothing is broken."""

    NONE = 0
    REFUSED = 1
    FAILED = 2


@dataclass(eq=False)
class Span:
    """A request at the edge, a run of a call, a handling of an event; or only what a caller asked for in vain.

    ``end`` is its canonical line, ``given_up`` why its caller waited no longer.
    """

    id: str
    parent: str | None
    where: str
    lines: list[Entry] = field(default_factory=list)
    children: list[Span] = field(default_factory=list)
    end: Entry | None = None
    asked: str = ""
    given_up: str = ""

    @property
    def began(self) -> datetime | None:
        """When it began; of work that never ended, when it first wrote something."""
        if self.end is None:
            return of.moment_of(self.lines[0]) if self.lines else None
        ended, took = of.moment_of(self.end), of.duration_of(self.end)
        return ended - took if ended is not None and took is not None else ended

    @property
    def ended(self) -> datetime | None:
        """When its last line was written."""
        return of.moment_of(self.lines[-1]) if self.lines else None

    @property
    def took(self) -> timedelta | None:
        """How long it was at work, if that is known."""
        return None if self.end is None else of.duration_of(self.end)

    @property
    def name(self) -> str:
        """What was to be done."""
        if self.end is None:
            return self.asked or (
                "a request" if self.is_at_edge else "work by the clock" if self.parent is None else "some work"
            )
        match of.action_of(self.end):
            case "http.request" | of.AT_FRONT:
                return f"{of.field(self.end, 'http.request.method')} {of.field(self.end, 'url.path')}"
            case "rpc.call" | "rpc.call_unreadable":
                return str(of.field(self.end, "labels.method"))
            case "event.handled" | "event.unreadable":
                return f"event {of.field(self.end, 'labels.type')}"
        return "(turned away before it was read)"

    @property
    def status(self) -> int | None:
        """What the client was told, where this is the edge's part."""
        found = None if self.end is None else of.field(self.end, "http.response.status_code")
        return found if isinstance(found, int) else None

    @property
    def is_at_edge(self) -> bool:
        """Whether it is the edge's part of a request, or that of the front which stands before it."""
        return self.is_at_front or (bool(self.lines) and of.field(self.lines[0], "service.name") == "edge")

    @property
    def is_at_front(self) -> bool:
        """Whether no edge answered the request, so that nginx did."""
        return self.end is not None and of.action_of(self.end) == of.AT_FRONT

    @property
    def is_unfinished(self) -> bool:
        """Whether its last line is missing: its process was killed, or is at work still. Clockwork has none."""
        return self.end is None and not self.asked and (self.parent is not None or self.is_at_edge)

    @property
    def code(self) -> str:
        """What went wrong, as the shop calls it."""
        if self.end is None:
            return ""
        return str(of.field(self.end, "labels.code") or of.field(self.end, "labels.fault") or "")

    @property
    def trouble(self) -> Trouble:
        """How it ended, by its own last line."""
        if self.given_up or self.is_unfinished:
            return Trouble.FAILED
        if self.end is None:
            return Trouble.FAILED if any(of.rank_of(line) >= of.rank("error") for line in self.lines) else Trouble.NONE
        if self.status is not None:
            return _meant_by(self.status)
        if of.action_of(self.end) in UNREADABLE:
            return Trouble.FAILED
        return _meant_by_code(self.code, is_event=of.action_of(self.end) == "event.handled")


def _meant_by(status: int) -> Trouble:
    if status >= _CLIENT_GONE:
        return Trouble.FAILED
    return Trouble.REFUSED if status >= _CLIENT_FAULT else Trouble.NONE


def _meant_by_code(code: str, *, is_event: bool) -> Trouble:
    """A code without a dot is the name of an exception; an event that is not handled is tried again."""
    if not code:
        return Trouble.NONE
    return Trouble.FAILED if is_event or code in _NOT_NOW or "." not in code else Trouble.REFUSED


def tree_of(lines: Iterable[Entry]) -> list[Span]:
    """The roots, oldest first. Lines without span ids are placed by process and time."""
    known: dict[str, Span] = {}
    homeless: list[Entry] = []
    for line in lines:
        id_ = of.field(line, "span.id")
        if not isinstance(id_, str):
            homeless.append(line)
            continue
        span = known.setdefault(id_, Span(id_, None, of.instance_of(line)))
        _add(span, line)
    roots = _linked(list(known.values()))
    return _sorted(_with_unanswered(_behind_front(_placed(homeless, roots, list(known.values())))))


def walk(roots: Iterable[Span]) -> Iterable[Span]:
    """Every piece of work, callers before whom they asked."""
    for span in roots:
        yield span
        yield from walk(span.children)


def _add(span: Span, line: Entry) -> None:
    span.lines.append(line)
    parent = of.field(line, "labels.parent_span_id")
    if isinstance(parent, str):
        span.parent = parent
    if of.action_of(line) in CANONICAL:
        span.end = line


def _linked(spans: list[Span]) -> list[Span]:
    by_id = {span.id: span for span in spans}
    roots = []
    for span in spans:
        parent = by_id.get(span.parent or "")
        if parent is None or parent is span:
            roots.append(span)
        else:
            parent.children.append(span)
    return roots


def _placed(lines: list[Entry], roots: list[Span], known: list[Span]) -> list[Span]:
    """Add what has no span id: work by its last line, under the shortest that was under way all the time meanwhile."""
    made = []
    for number, line in enumerate(lines):
        if of.action_of(line) in CANONICAL:
            made.append(Span(f"#{number}", None, of.instance_of(line), [line], end=line))
    everything = known + made
    for span in made:
        host = min((each for each in everything if _is_host(each, span)), key=_length, default=None)
        (roots if host is None else host.children).append(span)
    for line in lines:
        if of.action_of(line) not in CANONICAL:
            home = _home_of(line, everything)
            if home is None:
                home = Span(f"@{of.instance_of(line)}", None, of.instance_of(line))
                roots.append(home)
                everything.append(home)
            home.lines.append(line)
            home.lines.sort(key=of.stamp_of)
    return roots


def _is_host(host: Span, guest: Span) -> bool:
    if host.where == guest.where or host.end is None or guest.end is None:
        return False
    if of.action_of(guest.end) not in {"rpc.call", "rpc.call_unreadable"}:
        return False
    times = (host.began, guest.began, guest.ended, host.ended)
    if None in times:
        return False
    begun, came, left, ended = (time for time in times if time is not None)
    return begun - LATEST_SKEW <= came and left <= ended + LATEST_SKEW and _length(host) >= _length(guest)


def _length(span: Span) -> timedelta:
    return span.took or timedelta()


def _home_of(line: Entry, spans: list[Span]) -> Span | None:
    at, where = of.moment_of(line), of.instance_of(line)
    here = [span for span in spans if span.where == where]
    during = [span for span in here if at and span.began and span.ended and span.began <= at <= span.ended]
    return min(during, key=_length, default=here[-1] if here else None)


def _behind_front(roots: list[Span]) -> list[Span]:
    """What an edge did meanwhile, it did for the front, which waited no longer for it."""
    fronts = [root for root in roots if root.is_at_front]
    for edge in [root for root in roots if root.is_at_edge and not root.is_at_front]:
        host = next((front for front in fronts if _began_within(front, edge)), None)
        if host is not None:
            edge.given_up = str(of.field(host.end or {}, "labels.reason"))
            roots.remove(edge)
            host.children.append(edge)
    return roots


def _began_within(host: Span, guest: Span) -> bool:
    if host.began is None or guest.began is None or host.ended is None:
        return False
    return host.began - LATEST_SKEW <= guest.began <= host.ended + LATEST_SKEW


def _with_unanswered(roots: list[Span]) -> list[Span]:
    """Where a call was given up: it gets a place of its own when no run of it has one."""
    for span in list(walk(roots)):
        for line in [line for line in span.lines if of.action_of(line) == UNANSWERED]:
            method = str(of.field(line, "labels.method") or "?")
            reason = str(of.field(line, "labels.reason") or "no answer")
            runs = [child for child in span.children if child.name == method]
            if runs:
                runs[-1].given_up = reason
            else:
                service = method.partition(".")[0]
                span.children.append(Span(f"{span.id}?", span.id, service, [line], asked=method, given_up=reason))
    return roots


def _sorted(spans: list[Span]) -> list[Span]:
    for span in spans:
        _sorted(span.children)
    spans.sort(key=lambda span: (_is_aftermath(span), str(span.began)))
    return spans


def _is_aftermath(span: Span) -> bool:
    """What happens later, because of the request."""
    return span.end is None or of.action_of(span.end) == "event.handled"
