"""Reads a route of which some words cannot be read, so that these do not hide what else is wrong with it.

Each such word gets a stand-in, in turn all that it could have meant. A fault that is there whatever the word meant is
the route's own; any other only follows from the word, and is not told.
"""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from edge.policies import RoutePolicy
from shared.contracts.checking import fits, read
from shared.contracts.refusals import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

GUESSES: tuple[Any, ...] = (0, 1, 60, 1000, "a", "b", "public", "private", "/", True, False)
LEFT_OUT = object()
MOST_TURNS = 24

_VARIABLE = re.compile(r"\{([a-z_]+)\}")
_SAYS_ARGUMENTS = re.compile(r"/path|/arguments|/aggregate(/parts(/\d+(/arguments|/http(/path)?)?)?)?")
_BY_NAME = ("/path", "/arguments", "/answer/page", "/cache/tags", "/http/path", "/aggregate")
"""What goes by the names of variables and arguments, of which no stand-in knows anything."""


@dataclass(frozen=True, slots=True)
class Mended:
    """The route in some readings; ``unread`` are the places of the words that each of them has a stand-in for.

    Of what is at ``silent`` nothing can be said: these words themselves, and what only they could explain.
    """

    policies: tuple[RoutePolicy, ...]
    unread: frozenset[str]
    silent: frozenset[str]

    def common(self, told: list[list[str]]) -> list[str]:
        """Of the reasons of all readings those that each has, and that are not about a word which nobody can read."""
        first, *others = told
        return [reason for reason in first if all(reason in other for other in others) and not self._is_silent(reason)]

    def _is_silent(self, reason: str) -> bool:
        at = reason.partition(":")[0]
        return any(at == place or at.startswith(f"{place}/") for place in self.silent)


def mended(raw: Mapping[str, Any], unread: list[str]) -> Mended | None:
    """All readings of a route that cannot be read at the places ``unread``; ``None`` where stand-ins do not help."""
    spelled = _spelled(raw)
    if spelled.keys() != raw.keys():
        unread = _unread(spelled)
    choices = {place: _choices(spelled, place) for place in unread}
    turns = min(MOST_TURNS, max(map(len, choices.values()), default=1))
    try:
        policies = [_read(spelled, choices, turn) for turn in range(max(1, turns))]
    except InvalidRequest:
        return None
    return Mended(tuple(policies), frozenset(unread), frozenset(_silent(spelled, unread)))


def _silent(raw: Mapping[str, Any], unread: list[str]) -> Iterator[str]:
    for place in unread:
        yield place
        if place.endswith("/versions/split"):
            yield place.replace("/split", "/header")
        is_known = place == "/path" and isinstance(raw.get("path"), str)  # its stand-in has the variables
        if _SAYS_ARGUMENTS.fullmatch(place) and not is_known:
            yield from _BY_NAME


def _read(raw: dict[str, Any], choices: Mapping[str, tuple[Any, ...]], turn: int) -> RoutePolicy:
    reading = deepcopy(raw)
    for place, values in choices.items():
        _put(reading, _steps(place), values[turn % len(values)] if values else LEFT_OUT)
    return read(RoutePolicy, reading)


def _spelled(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with the words that nobody knows taken for those that they resemble, if these are absent."""
    known = RoutePolicy.__struct_fields__
    absent = [word for word in known if word not in raw]
    copied = {}
    for word, value in raw.items():
        close = [] if word in known else get_close_matches(word, absent, n=1, cutoff=0.75)
        copied[close[0] if close else word] = value
        absent = [other for other in absent if other not in close]
    return copied


def _unread(raw: dict[str, Any]) -> list[str]:
    try:
        read(RoutePolicy, raw)
    except InvalidRequest as invalid:
        return [one["pointer"] for one in invalid.details["errors"]]
    return []


def _choices(raw: dict[str, Any], place: str) -> tuple[Any, ...]:
    """What may stand there; nothing where it is best left out."""
    if place == "/path":
        return (_path_of(raw),)
    kind = _kind_at(RoutePolicy, _steps(place))
    return () if kind is None else _stand_ins(kind)


def _path_of(raw: dict[str, Any]) -> str:
    """A path with the variables of the one that cannot be read."""
    path = raw.get("path")
    names = _VARIABLE.findall(path) if isinstance(path, str) else []
    return "/" + "/".join(f"{{{name}}}" for name in dict.fromkeys(names))


def _steps(place: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in place.split("/")[1:]]


def _kind_at(kind: Any, steps: list[str]) -> Any:
    """The type at this place of the vocabulary; ``None`` for a name that must not be there."""
    if not steps:
        return kind
    step, *rest = steps
    for one in _alternatives(kind):
        plain = _plain(one)
        if isinstance(plain, type) and issubclass(plain, msgspec.Struct):
            hints = _hints(plain)
            return _kind_at(hints[step], rest) if step in hints else None
        if get_origin(plain) is dict:
            of_key, of_value = get_args(plain)
            return _kind_at(of_value, rest) if fits(step, of_key) else None
        if get_origin(plain) is list:
            return _kind_at(get_args(plain)[0], rest)
    return None


@lru_cache(maxsize=512)
def _stand_ins(kind: Any) -> tuple[Any, ...]:
    """Values of this type that differ as much as matters, and never none: something was meant to be said."""
    values: list[Any] = []
    for one in _alternatives(kind):
        plain = _plain(one)
        if get_origin(plain) is Literal:
            values += get_args(plain)
        elif isinstance(plain, type) and issubclass(plain, msgspec.Struct):
            values += _structs(plain)
        elif get_origin(plain) is list:
            values += [[], [*_stand_ins(get_args(plain)[0])[:1]]]
        elif get_origin(plain) is dict:
            inner = _stand_ins(get_args(plain)[1])
            values += [{}, {"a": inner[0]}, {"b": inner[-1]}]
        else:
            values += GUESSES
    return tuple(value for value in values if fits(value, kind))


def _structs(struct: type[msgspec.Struct]) -> list[dict[str, Any]]:
    """One that says the least, and one that says all it can."""
    hints = _hints(struct)
    required = [field.name for field in msgspec.structs.fields(struct) if field.required]
    said = {name: values for name, kind in hints.items() if (values := _stand_ins(kind))}
    return [{name: said[name][0] for name in required if name in said}, {name: said[name][-1] for name in said}]


@lru_cache(maxsize=64)
def _hints(struct: type[msgspec.Struct]) -> dict[str, Any]:
    return get_type_hints(struct, include_extras=True)


def _alternatives(kind: Any) -> list[Any]:
    if get_origin(kind) in {Union, UnionType}:
        return [one for one in get_args(kind) if one is not NoneType]
    return [kind]


def _plain(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _put(into: Any, steps: list[str], value: Any) -> None:
    *way, last = steps
    for step in way:
        into = into[int(step) if isinstance(into, list) else step]
    if isinstance(into, list):
        into[int(last)] = value
    elif value is LEFT_OUT:
        into.pop(last, None)
    else:
        into[last] = value
