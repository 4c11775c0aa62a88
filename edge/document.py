"""Reads the text of a route table, YAML or JSON, within bounds and with the line of everything in it.

The text is taken apart event by event: nothing is expanded, nested or kept beyond the bounds, so that no text, however
it is made, costs more than reading it once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from edge.faults import BadRoutes, Fault

MOST_BYTES = 262_144
"""Half of what Consul takes as one value; the packaged table has a twentieth of it."""
MOST_DEPTH = 16
MOST_NODES = 50_000
LONGEST_NUMBER = 64
"""YAML knows numbers that take long to read; of these, longer ones are text."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_PLAIN = {f"{_TAG}{kind}" for kind in ("null", "bool", "int", "float", "str")}


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data, the line of each JSON pointer into it, and the faults that reading it found."""

    data: Any
    lines: dict[str, int]
    faults: tuple[Fault, ...] = ()

    def line_of(self, pointer: str) -> int | None:
        """The line of this place, or of the nearest one around it."""
        while pointer and pointer not in self.lines:
            pointer = pointer.rpartition("/")[0]
        return self.lines.get(pointer)


def read_document(text: str) -> Document:
    """Take the text apart. Raises :class:`edge.faults.BadRoutes` for what is no YAML, or too much of it."""
    if len(text.encode(errors="replace")) > MOST_BYTES:
        raise BadRoutes([Fault(f"the table has more than {MOST_BYTES} bytes")])
    builder = _Builder()
    try:
        text.encode()
        for event in yaml.parse(text, Loader=_Loader):
            builder.take(event)
    except yaml.YAMLError as fault:
        raise BadRoutes([*builder.faults, _unreadable(fault, text)]) from None
    except UnicodeEncodeError as fault:
        line = text.count("\n", 0, fault.start) + 1
        raise BadRoutes([Fault("this is no text in UTF-8", line)]) from None
    return Document(builder.root, builder.lines, tuple(builder.faults))


@dataclass(slots=True)
class _Open:
    """A mapping or list that is being filled. ``key`` is the next member's, once it is known."""

    into: dict[str, Any] | list[Any]
    pointer: str
    key: str | None = None


@dataclass(slots=True)
class _Builder:
    root: Any = None
    lines: dict[str, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    _open: list[_Open] = field(default_factory=list)
    _nodes: int = 0
    _documents: int = 0
    _scalars: Any = field(default_factory=lambda: yaml.SafeLoader(""))

    def take(self, event: yaml.Event) -> None:
        """Add what this event brings."""
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._stop(event, "there is more than one document")
            case yaml.MappingStartEvent():
                self._enter({}, event)
            case yaml.SequenceStartEvent():
                self._enter([], event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._open.pop()
            case yaml.ScalarEvent():
                self._scalar(event)
            case yaml.AliasEvent():
                self._note(event, "aliases (*name) are not taken")
                self._place(None, event)

    def _enter(self, into: Any, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        if len(self._open) >= MOST_DEPTH:
            self._stop(event, f"nothing may be nested deeper than {MOST_DEPTH} levels")
        self._check_marks(event)
        pointer = self._place(into, event)
        self._open.append(_Open(into, pointer))

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        around = self._open[-1] if self._open else None
        value = self._value(event)
        if around is None or isinstance(around.into, list) or around.key is not None:
            self._place(value, event)
        else:
            self._name(around, value, event)

    def _name(self, around: _Open, key: Any, event: yaml.ScalarEvent) -> None:
        if not isinstance(key, str):
            self._note(event, f"the key '{event.value}' is no text: put it in quotes")
        around.key = key if isinstance(key, str) else event.value
        if around.key in around.into:
            self._note(event, f"the key '{around.key}' stands twice")
        self.lines.setdefault(f"{around.pointer}/{escaped(around.key)}", _line(event))

    def _place(self, value: Any, event: yaml.NodeEvent) -> str:
        """Put the value where it belongs; gives its pointer. Of a key that stands twice the first counts."""
        self._nodes += 1
        if self._nodes > MOST_NODES:
            self._stop(event, f"the table has more than {MOST_NODES} values")
        if not self._open:
            self.root = value
            self.lines[""] = _line(event)
            return ""
        around = self._open[-1]
        if isinstance(around.into, list):
            pointer = f"{around.pointer}/{len(around.into)}"
            around.into.append(value)
            self.lines[pointer] = _line(event)
            return pointer
        if around.key is None:
            self._stop(event, "a key must be text")
        pointer = f"{around.pointer}/{escaped(around.key)}"
        around.into.setdefault(around.key, value)
        around.key = None
        return pointer

    def _value(self, event: yaml.ScalarEvent) -> Any:
        self._check_marks(event)
        tag = event.tag or self._scalars.resolve(yaml.ScalarNode, event.value, event.implicit)
        if tag not in _PLAIN or len(event.value) > LONGEST_NUMBER:
            tag = f"{_TAG}str"  # a date or a merge key is but its text
        node = yaml.ScalarNode(tag, event.value)
        try:
            return self._scalars.yaml_constructors[tag](self._scalars, node)
        except (ValueError, OverflowError, yaml.YAMLError):
            self._note(event, f"'{event.value[:40]}' cannot be read")
            return None

    def _check_marks(self, event: Any) -> None:
        if event.anchor is not None:
            self._note(event, "anchors (&name) are not taken")
        if event.tag is not None:
            self._note(event, "tags (!name) are not taken")

    def _note(self, event: yaml.Event, detail: str) -> None:
        if len(self.faults) < 100:  # noqa: PLR2004  # nobody reads on
            self.faults.append(Fault(detail, _line(event)))

    def _stop(self, event: yaml.Event, detail: str) -> NoReturn:
        raise BadRoutes([*self.faults, Fault(detail, _line(event))])


def escaped(name: str) -> str:
    """A name as one part of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def _line(event: yaml.Event) -> int:
    return int(event.start_mark.line) + 1 if event.start_mark else 1


def _unreadable(fault: yaml.YAMLError, text: str) -> Fault:
    if isinstance(fault, yaml.reader.ReaderError):
        line = text.encode().count(b"\n", 0, fault.position) + 1
        return Fault("this is no YAML: it has a control character", line)
    mark = getattr(fault, "problem_mark", None)
    problem = getattr(fault, "problem", None) or str(fault).splitlines()[0]
    return Fault(f"this is no YAML: {problem}", mark.line + 1 if mark else 1)
