"""Says in one sentence what became of a request, and why: the deepest piece of work that failed, with its reason."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from kirana.logbook import entry as of
from kirana.logbook.entry import Entry
from kirana.logbook.spans import UNREADABLE, Span, Trouble, walk
from kirana.logbook.times import shown

CLIENT_GONE = 499
LONG_WAIT = timedelta(seconds=1)
_FRAME = re.compile(r'File "([^"]+)", line (\d+), in (\S+)')
_OURS = re.compile(r"(?:^|/)((?:edge|rpc_services|shared|kirana)/.+)")


@dataclass(frozen=True)
class Verdict:
    """``outcome`` is ``answered``, ``refused``, ``failed`` or ``unfinished``.

    ``path`` leads from the edge to the cause, ``reason`` says why, ``place`` where in the code, ``notes`` what else
    explains it. Without trouble they are empty.
    """

    outcome: str
    path: tuple[Span, ...] = ()
    reason: str = ""
    place: str = ""
    notes: tuple[str, ...] = ()
    code: str = ""

    @property
    def culprit(self) -> Span | None:
        """Where it went wrong."""
        return self.path[-1] if self.path else None


def judged(roots: Sequence[Span]) -> Verdict:
    """What became of it all. Of several requests with one id the last one that went worst."""
    root = main_root(roots)
    if root is None:
        return Verdict("unfinished")
    path = _path_to_cause(root)
    worst = max((span.trouble for span in walk(roots)), default=Trouble.NONE)
    if root.trouble is Trouble.NONE and worst is Trouble.FAILED:  # the client was answered; something else went wrong
        path = _path_to_cause(next(span for span in roots if _worst_below(span) is Trouble.FAILED))
    if not path:
        return Verdict(_outcome(root))
    culprit = path[-1]
    reason, place = reason_of(culprit)
    return Verdict(_outcome(root), tuple(path), reason, place, tuple(_notes(path)), culprit.code or root.code)


def main_root(roots: Sequence[Span]) -> Span | None:
    """The request itself at the edge, if its lines are here; else what was done for it first."""
    at_edge = [root for root in roots if root.is_at_edge]
    return max(at_edge, key=lambda root: (root.trouble, str(root.ended))) if at_edge else next(iter(roots), None)


def reason_of(span: Span) -> tuple[str, str]:
    """Why this piece of work failed, and the place in the code if an exception tells."""
    crashed = next((line for line in reversed(span.lines) if of.field(line, "error.type")), None)
    if crashed is not None:
        kind = str(of.field(crashed, "error.type")).removeprefix("builtins.")
        text = str(of.field(crashed, "error.message") or "").strip().partition("\n")[0]
        return f"{kind}: {text}" if text else kind, place_of(str(of.field(crashed, "error.stack_trace") or ""))
    told = None if span.end is None else of.field(span.end, "labels.reason")
    if told:
        return str(told), ""
    if span.given_up:
        return _why_given_up(span), ""
    if span.status == CLIENT_GONE:
        return "the client went away before it had an answer", ""
    if span.is_unfinished:
        return "its last line is missing: the process was killed, or is still at work", ""
    return _reason_in_lines(span.lines) or _sentence_of(span.code), ""


def place_of(trace: str) -> str:
    """The last place of ours in a stack trace, as ``file:line in function``."""
    frames = [(_OURS.search(path), line, name) for path, line, name in _FRAME.findall(trace)]
    ours = [f"{found[1]}:{line} in {name}" for found, line, name in frames if found is not None]
    return ours[-1] if ours else ""


def slowest_path(span: Span) -> list[Span]:
    """Where the time went: from piece to piece, as long as one took more than half of what its caller did."""
    path = [span]
    while True:
        took = path[-1].took or timedelta()
        longest = max(path[-1].children, key=lambda child: child.took or timedelta(), default=None)
        if longest is None or (longest.took or timedelta()) * 2 <= took or longest in path:
            return path
        path.append(longest)


def waited(span: Span) -> timedelta:
    """How long a call waited for somebody to begin with it."""
    nanoseconds = None if span.end is None else of.field(span.end, "labels.queue_ns")
    return timedelta(microseconds=nanoseconds / 1000) if isinstance(nanoseconds, int) else timedelta()


def _outcome(root: Span) -> str:
    if root.is_unfinished or root.end is None:
        return "unfinished"
    return {Trouble.NONE: "answered", Trouble.REFUSED: "refused", Trouble.FAILED: "failed"}[root.trouble]


def _path_to_cause(span: Span) -> list[Span]:
    """From ``span`` down to the last of those that went as badly as anything below it."""
    level = _worst_below(span)
    path = [span]
    while True:
        guilty = [child for child in path[-1].children if _worst_below(child) is level]
        if not guilty or level is Trouble.NONE:
            break
        path.append(max(guilty, key=lambda child: (child.trouble, str(child.ended))))
    return path if level is not Trouble.NONE else []


def _worst_below(span: Span) -> Trouble:
    return max(each.trouble for each in walk([span]))


def _why_given_up(span: Span) -> str:
    if span.end is None:
        return span.given_up
    return f"done, but whoever asked had given it up: {span.given_up}"


def _reason_in_lines(lines: Sequence[Entry]) -> str:
    """What its worst line says, if one is worse than usual."""
    bad = [line for line in lines if of.rank_of(line) >= of.rank("warning") and of.field(line, "labels.reason")]
    if not bad:
        return ""
    return f"{of.action_of(bad[-1])}: {of.field(bad[-1], 'labels.reason')}"


def _sentence_of(code: str) -> str:
    """What the shop's own table of problems says of the code."""
    from edge.problems import PROBLEMS

    problem = PROBLEMS.get(code)
    return problem.title if problem is not None else code


def _was_parked(span: Span) -> bool:
    return any(of.action_of(line) == "message.parked" for line in span.lines)


def _notes(path: Sequence[Span]) -> list[str]:
    notes = []
    for span in path:
        if waited(span) >= LONG_WAIT:
            notes.append(f"{span.name} waited {shown(waited(span))} for a free worker of {span.where}")
        if span.end is not None and of.field(span.end, "labels.redelivered") is True:
            notes.append(f"{span.name} came a second time: an earlier run of it did not finish")
        if span.end is not None and (of.action_of(span.end) in UNREADABLE or _was_parked(span)):
            notes.append("the message was put aside: kirana events parked")
    return notes
