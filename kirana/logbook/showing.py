"""Shows lines to people, one after the other: time, who, level, what, the rest as name=value."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from kirana.logbook import entry as of
from kirana.logbook.entry import Entry
from kirana.parking.redacted import printable

STYLES = {"debug": "dim", "info": "green", "warning": "yellow", "error": "bold red", "critical": "bold white on red"}
_SHOWN_ELSEWHERE = {"@timestamp", "message", "ecs", "log", "service", "process", "error", "trace", "span"}
_DULL = {"event.action", "event.dataset", "http.request.id", "labels.parent_span_id", "labels.routes"}
_NANOSECONDS = {"event.duration", "queue_ns"}


def show_line(entry: Entry, to: Console) -> None:
    """One line, with the moment at which it was written (UTC)."""
    line = Text(safe(of.stamp_of(entry)[11:23]), style="dim")
    line.append(safe(f" {of.instance_of(entry):<15}"), style="not dim cyan")
    line.append(safe(f" {of.field(entry, 'log.level') or 'info':<8} "), style=f"not dim {style_of(entry)}")
    line.append(told(entry))
    request = of.request_of(entry)
    if request:
        line.append(" request=").append(safe(request), style="not dim")
    to.print(line)
    trace = of.field(entry, "error.stack_trace") or of.field(entry, "error.message")
    if trace:
        to.print(Text(indented(str(trace), "    "), style="red"))


def safe(text: str) -> str:
    """Without what a terminal may take for a command: lines hold what clients sent."""
    return text if text.isprintable() else printable(text)


def style_of(entry: Entry) -> str:
    """The colour of its level."""
    return STYLES.get(str(of.field(entry, "log.level")), "")


def told(entry: Entry) -> Text:
    """What the line says, without when, where and of which request."""
    text = Text().append(safe(str(entry.get("message", ""))), style="not dim bold")
    for name, value in details(entry):
        text.append(safe(f" {name}="), style="dim").append(safe(_shown(name, value)), style="not dim")
    return text


def details(entry: Entry) -> list[tuple[str, Any]]:
    """The fields that are its own, by the names that its writer gave them."""
    own = {name: value for name, value in entry.items() if name not in _SHOWN_ELSEWHERE}
    return [(name.removeprefix("labels."), value) for name, value in _flat(own, "") if name not in _DULL]


def indented(text: str, margin: str) -> str:
    """Each line of it behind a margin."""
    return margin + printable(text).rstrip().replace("\n", "\n" + margin)


def _shown(name: str, value: Any) -> str:
    if name in _NANOSECONDS and isinstance(value, int):
        return f"{value / 1_000_000:.1f} ms"
    return str(value)


def _flat(value: Any, name: str) -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        return [(name, value)]
    return [pair for key, part in value.items() for pair in _flat(part, f"{name}.{key}" if name else key)]
