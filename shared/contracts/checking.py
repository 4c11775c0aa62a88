"""Reads plain data into a contract type and names every bad field at once, not just the first."""

from __future__ import annotations

import math
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UnsetType

from shared.contracts.method import Request
from shared.contracts.refusals import InvalidRequest

T = TypeVar("T", bound=msgspec.Struct)
Faults = list[dict[str, str]]

MISSING = "This field is required."
UNKNOWN = "This field is not known here."
OF_ANOTHER_FORM = "Text of another form is expected here."
MAX_FAULTS = 100


def read(kind: type[T], data: Any, *, strict: bool = True) -> T:
    """Turn ``data`` (an object of plain JSON values) into ``kind``.

    ``strict=False`` also takes numbers and booleans written as strings, as in a query string.
    Raises :class:`InvalidRequest` with one entry per bad field, each named by a JSON pointer (RFC 6901).
    """
    try:
        value = msgspec.convert(data, kind, strict=strict)
    except (msgspec.ValidationError, OverflowError):
        faults = _faults_of_struct(kind, data, "", strict=strict) + _faults_beyond(kind, data)
        raise InvalidRequest(errors=faults[:MAX_FAULTS]) from None
    if _has_surrogates(data):
        raise InvalidRequest(errors=[{"pointer": "", "detail": "Text holds a lone surrogate."}])
    return value


def fits(value: Any, kind: Any) -> bool:
    """Whether ``value`` (plain JSON) may stand where ``kind``, any type, is expected."""
    try:
        msgspec.convert(value, kind, strict=True)
    except (msgspec.ValidationError, OverflowError):
        return False
    return True


def _faults_of_struct(kind: type[msgspec.Struct], data: Any, pointer: str, *, strict: bool) -> Faults:
    if not isinstance(data, dict):
        return [{"pointer": pointer, "detail": "An object is expected here."}]
    hints = get_type_hints(kind, include_extras=True)
    faults: Faults = []
    for field in msgspec.structs.fields(kind):
        at = f"{pointer}/{_escape(field.encode_name)}"
        if field.encode_name in data:
            faults += _faults_of_value(hints[field.name], data[field.encode_name], at, strict=strict)
        elif field.required:
            faults.append({"pointer": at, "detail": MISSING})
    known = {field.encode_name for field in msgspec.structs.fields(kind)}
    if kind.__struct_config__.forbid_unknown_fields:
        faults += [
            {"pointer": f"{pointer}/{_escape(str(name))}", "detail": UNKNOWN} for name in data if name not in known
        ]
    return faults


def _faults_beyond(kind: type[msgspec.Struct], data: Any) -> Faults:
    if not isinstance(data, dict) or not issubclass(kind, Request):
        return []
    return kind.beyond_its_fields(data)


def _faults_of_value(kind: Any, value: Any, pointer: str, *, strict: bool) -> Faults:
    try:
        msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as fault:
        return _inner_faults(kind, value, pointer, strict=strict) or [
            {"pointer": pointer, "detail": _sentence(str(fault), kind)}
        ]
    except OverflowError:
        return [{"pointer": pointer, "detail": "The number is out of range."}]
    if isinstance(value, float) and not math.isfinite(value):
        return [{"pointer": pointer, "detail": "A finite number is expected here."}]
    return []


def _inner_faults(kind: Any, value: Any, pointer: str, *, strict: bool) -> Faults:
    """Look inside lists and objects, so that the fault names the field itself."""
    for part in _alternatives(kind):
        if isinstance(part, type) and issubclass(part, msgspec.Struct) and isinstance(value, dict):
            return _faults_of_struct(part, value, pointer, strict=strict)
        if get_origin(part) is list and isinstance(value, list):
            (item,) = get_args(part)
            return [
                fault
                for index, inner in enumerate(value[: MAX_FAULTS * 10])
                for fault in _faults_of_value(item, inner, f"{pointer}/{index}", strict=strict)
            ]
        if get_origin(part) is dict and isinstance(value, dict):
            return _faults_of_members(get_args(part), value, pointer, strict=strict)
    return []


def _faults_of_members(kinds: tuple[Any, Any], value: dict[Any, Any], pointer: str, *, strict: bool) -> Faults:
    """Keys and values of an object with free names; a bad key is named at its own place."""
    of_key, of_value = kinds
    return [
        fault
        for name, inner in list(value.items())[: MAX_FAULTS * 10]
        for at in (f"{pointer}/{_escape(str(name))}",)
        for fault in _faults_of_value(of_key, name, at, strict=strict)
        + _faults_of_value(of_value, inner, at, strict=strict)
    ]


def _alternatives(kind: Any) -> list[Any]:
    """The plain types behind ``Annotated`` and unions."""
    if hasattr(kind, "__metadata__"):
        return _alternatives(kind.__origin__)
    if get_origin(kind) in {Union, UnionType}:
        return [
            part for inner in get_args(kind) if inner not in {type(None), UnsetType} for part in _alternatives(inner)
        ]
    return [kind]


def _sentence(message: str, kind: Any) -> str:
    """In words: for a pattern, those that the contract has beside it."""
    if "matching regex" in message:
        return _wording(kind) or OF_ANOTHER_FORM
    text = message.partition(" - at `")[0].replace("`", "'")
    return text if text.endswith(".") else f"{text}."


def _wording(kind: Any) -> str | None:
    """What the contract says beside the pattern of a text, perhaps one of several types."""
    for part in getattr(kind, "__metadata__", ()):
        if isinstance(part, msgspec.Meta) and part.pattern is not None:
            return part.description
    inner = get_args(kind) if get_origin(kind) in {Union, UnionType} else ()
    return next((words for part in inner if (words := _wording(part))), None)


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _has_surrogates(data: Any) -> bool:
    match data:
        case str():
            return not data.isascii() and any("\ud800" <= char <= "\udfff" for char in data)
        case dict():
            return any(_has_surrogates(part) for pair in data.items() for part in pair)
        case list():
            return any(_has_surrogates(part) for part in data)
    return False
