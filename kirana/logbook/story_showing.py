"""Shows the story of one request: first what came of it and why, then the tree of all work, then what else went on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kirana.logbook import entry as of
from kirana.logbook.entry import Entry
from kirana.logbook.showing import indented, safe, style_of, told
from kirana.logbook.spans import CANONICAL, Span, Trouble, walk
from kirana.logbook.story import Story
from kirana.logbook.times import shown
from kirana.logbook.verdict import Verdict, main_root

MOST_NAME = 60
_MARKS = {Trouble.NONE: ("✓", "green"), Trouble.REFUSED: ("-", "yellow"), Trouble.FAILED: ("✗", "bold red")}
_OUTCOMES = {"answered": "green", "refused": "yellow", "failed": "bold red", "unfinished": "bold magenta"}


def show_story(story: Story, to: Console, *, with_traces: bool) -> None:
    """Everything about the request; ``with_traces`` adds the whole stack traces."""
    zero = min((span.began for span in walk(story.roots) if span.began is not None), default=None)
    to.print(_headline(story))
    for line in _reasons(story.verdict):
        to.print(line)
    to.print()
    to.print(_tree(story, zero))
    if with_traces:
        _show_traces(story, to)
    if story.meanwhile:
        to.print()
        to.print(Text("Meanwhile, elsewhere:", style="bold"))
        to.print(_meanwhile(story.meanwhile, zero))


def _headline(story: Story) -> Text:
    verdict, root = story.verdict, main_root(story.roots)
    line = Text("Request ").append(story.id, style="bold").append("  ")
    line.append(verdict.outcome, style=_OUTCOMES[verdict.outcome])
    if root is None:
        return line
    line.append("  " + " ".join(str(part) for part in (root.status, root.code) if part), style="bold")
    line.append(safe(f"  {root.name}"), style="bold")
    if root.took is not None:
        line.append(f"  {shown(root.took)}")
    user = next((of.field(entry, "user.id") for entry in story.lines if of.field(entry, "user.id")), None)
    if user:
        line.append(safe(f"  user {user}"))
    return line.append(f"  {of.stamp_of(story.lines[0])[:19].replace('T', ' ')} UTC", style="dim")


def _reasons(verdict: Verdict) -> list[Text]:
    if verdict.culprit is None:
        return []
    word = "But" if verdict.outcome == "answered" else "Why"
    rows = [Text(f"  {word}    ", style="bold").append(safe(verdict.reason), style=_MARKS[verdict.culprit.trouble][1])]
    way = " → ".join(f"{span.where} {span.name}" if number else span.where for number, span in enumerate(verdict.path))
    rows.append(
        Text("  Where  ", style="bold").append(safe(way)).append(f"  ({verdict.place})" if verdict.place else "")
    )
    rows += [Text("  Note   ", style="bold").append(safe(note)) for note in verdict.notes]
    return rows


def _tree(story: Story, zero: datetime | None) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(justify="right", no_wrap=True, style="dim")
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(no_wrap=True, style="cyan")
    grid.add_column(overflow="fold")
    for number, root in enumerate(story.roots):
        _add(grid, root, ("", ""), zero)
        if number + 1 < len(story.roots):
            grid.add_row("", "", "", "")
    return grid


def _add(grid: Table, span: Span, margins: tuple[str, str], zero: datetime | None) -> None:
    """``margins`` are what stands before its own row, and before those of what belongs to it."""
    own, below = margins
    mark, style = _MARKS[span.trouble]
    name = Text().append(own, style="dim").append(f"{mark} ", style=style)
    name.append(safe(span.name if len(span.name) <= MOST_NAME else span.name[: MOST_NAME - 1] + "…"), style="bold")
    name.append("  ").append(_result(span))
    took = shown(span.took) if span.took is not None else "no end" if span.is_unfinished else ""
    grid.add_row(_offset(span.began, zero), took, safe(span.where), name)
    lines = [line for line in span.lines if of.action_of(line) not in CANONICAL and not span.asked]
    trunk = "│ " if span.children else "  "
    for line in lines:
        said = Text().append(below + trunk + "· ", style="dim")
        said.append(safe(f"{of.field(line, 'log.level')} "), style=style_of(line)).append(told(line))
        grid.add_row(_offset(of.moment_of(line), zero), "", "", said.append(_said_by_error(line)))
    for number, child in enumerate(span.children):
        is_last = number + 1 == len(span.children)
        _add(grid, child, (below + ("└─" if is_last else "├─"), below + ("  " if is_last else "│ ")), zero)


def _result(span: Span) -> Text:
    words = [str(part) for part in (span.status, span.code) if part]
    if span.given_up:
        words.append(f"given up: {span.given_up}")
    elif span.is_unfinished:
        words.append("killed, or still at work")
    reason = None if span.end is None else of.field(span.end, "labels.reason")
    if reason:
        words.append(str(reason))
    if span.end is not None and of.field(span.end, "labels.redelivered") is True:
        words.append("(redelivered)")
    return Text(safe(" ".join(words)), style="" if span.trouble is Trouble.NONE else _MARKS[span.trouble][1])


def _said_by_error(line: Entry) -> Text:
    kind, text = of.field(line, "error.type"), str(of.field(line, "error.message") or "")
    if not kind:
        return Text()
    return Text(safe(f"  {kind}: {text.strip().partition(chr(10))[0]}"), style="red")


def _meanwhile(lines: Sequence[Entry], zero: datetime | None) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(justify="right", no_wrap=True, style="dim")
    grid.add_column(no_wrap=True, style="cyan")
    grid.add_column(overflow="fold")
    for line in lines:
        said = Text().append(safe(f"{of.field(line, 'log.level')} "), style=style_of(line)).append(told(line))
        grid.add_row(_offset(of.moment_of(line), zero), safe(of.instance_of(line)), said)
    return grid


def _show_traces(story: Story, to: Console) -> None:
    for line in story.lines:
        trace = of.field(line, "error.stack_trace")
        if trace:
            to.print()
            to.print(Text(f"{of.instance_of(line)} {of.action_of(line)}", style="bold"))
            to.print(Text(indented(str(trace), "  "), style="red"))


def _offset(moment: datetime | None, zero: datetime | None) -> str:
    if moment is None or zero is None:
        return ""
    after = moment - zero
    return ("-" + shown(-after)) if after < timedelta() else ("+" + shown(after))
