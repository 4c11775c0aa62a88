"""Gathers a call's arguments from where the route table says, and names every bad one at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UNSET, UnsetType

from edge.policies import Source
from edge.queries import Query
from shared.contracts.checking import UNKNOWN, Faults, read
from shared.contracts.method import Request
from shared.contracts.refusals import InvalidRequest

TWICE = "This is given more than once."
HEADERS: Mapping[str, str] = {"caller.cart_token": "X-Cart-Token", "if-match": "If-Match"}

_WHOLE_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,18})")
_NO_NUMBER = "not a whole number"


@dataclass(frozen=True, slots=True)
class Binding:
    """A request type taken apart: what comes as text (path, query, headers, caller) and what in the body."""

    request: type[Request]
    sources: Mapping[str, Source]
    text: type[msgspec.Struct]
    body: type[msgspec.Struct]
    whole_numbers: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """What a request brings: path variables, query, body, and what the edge knows of the caller (or ``None``)."""

    path: Mapping[str, str]
    query: Query
    body: Mapping[str, Any]
    known: Mapping[Source, Any]


def bind(request: type[Request], sources: Mapping[str, Source], *, name: str) -> Binding:
    """Take ``request`` apart for the route ``name``. Every name in ``sources`` must be a field of it."""
    prefix = "".join(word.capitalize() for word in name.split("_"))
    hints = get_type_hints(request, include_extras=True)
    text: list[Any] = []
    body: list[Any] = []
    for field in msgspec.structs.fields(request):
        source = sources.get(field.name)
        if source == "body":
            body.append((field.name, hints[field.name], _default(field)))
        elif source is not None:
            given = _without_none(hints[field.name])
            text.append((field.name, given) if field.required else (field.name, given, None))
    body = [part[:2] if part[2] is msgspec.NODEFAULT else part for part in body]
    return Binding(
        request=request,
        sources=sources,
        text=_struct(f"{prefix}Text", text),
        body=_struct(f"{prefix}Body", body),
        whole_numbers=frozenset(field for field, kind, *_ in text if _plain(kind) is int),
    )


def gather(binding: Binding, offered: Offered, *, known_faults: Faults | None = None) -> dict[str, Any]:
    """The arguments as plain JSON values.

    Raises :class:`InvalidRequest` with every fault of every source, and with those that were found before.
    """
    values, faults = _text_values(binding, offered)
    faults += known_faults or []
    arguments: dict[str, Any] = {}
    try:
        text = read(binding.text, values, strict=False)
        arguments = {name: getattr(text, name) for name in values}
    except InvalidRequest as invalid:
        faults += [_at_its_header(fault, binding.sources) for fault in invalid.details["errors"]]
    try:
        read(binding.body, offered.body)
    except InvalidRequest as invalid:
        faults += invalid.details["errors"]
    if faults:
        raise InvalidRequest(errors=[*faults, *binding.request.beyond_its_fields({**offered.body, **values})])
    return {**arguments, **offered.body}


def _text_values(binding: Binding, offered: Offered) -> tuple[dict[str, Any], Faults]:
    values: dict[str, Any] = {}
    faults: Faults = []
    for name, value in offered.query:
        if binding.sources.get(name) != "query":
            faults.append({"pointer": f"/{name}", "detail": UNKNOWN})
        elif name in values:
            faults.append({"pointer": f"/{name}", "detail": TWICE})
        else:
            values[name] = value
    for name, source in binding.sources.items():
        known = offered.path.get(name) if source == "path" else offered.known.get(source)
        if known is not None:
            values[name] = known
    for name in binding.whole_numbers & values.keys():
        if isinstance(values[name], str) and not _WHOLE_NUMBER.fullmatch(values[name]):
            values[name] = _NO_NUMBER
    return values, faults


def _at_its_header(fault: dict[str, str], sources: Mapping[str, Source]) -> dict[str, str]:
    """A fault of what came in a header is named by that header; the client knows no member of ours."""
    header = HEADERS.get(sources.get(fault["pointer"].partition("/")[2], ""))
    return {**fault, "pointer": f"/{header}"} if header else fault


def _struct(name: str, fields: list[Any]) -> type[msgspec.Struct]:
    return msgspec.defstruct(name, fields, frozen=True, kw_only=True, forbid_unknown_fields=True)


def _default(field: Any) -> Any:
    if field.required:
        return msgspec.NODEFAULT
    return UNSET if field.default is msgspec.NODEFAULT else field.default


def _without_none(kind: Any) -> Any:
    """Text is never null: ``?q=null`` looks for the word."""
    if get_origin(kind) in {Union, UnionType}:
        (kind,) = (part for part in get_args(kind) if part not in {NoneType, UnsetType})
    return kind


def _plain(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind
