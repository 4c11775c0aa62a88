"""Reads JSON that is to be written again: every number stays as it is written, whatever a float could hold of it."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import orjson


def read_exactly(raw: bytes) -> Any:
    """The values, among them numbers that only ``orjson.dumps`` can read.

    Raises ``orjson.JSONDecodeError``; ``orjson.JSONEncodeError`` or ``RecursionError`` for what lies too deep.
    """
    try:
        value = orjson.loads(raw)  # refuses what is not JSON, which the other one is lax about
    except orjson.JSONDecodeError as refused:
        return _beyond_floats(raw, refused)
    if orjson.dumps(value) == raw:  # what comes out as it came in has lost nothing: this costs a third of the other way
        return value
    return json.loads(raw, parse_int=orjson.Fragment, parse_float=orjson.Fragment)


def _beyond_floats(raw: bytes, refused: orjson.JSONDecodeError) -> Any:
    """``1e400`` is JSON, too, though no float holds it. Of all that this reader is lax about nothing passes.

    Encodings other than UTF-8 and byte order marks end with the text, lone surrogates are what cannot be written.
    """
    try:
        value = json.loads(
            raw.decode(), parse_int=orjson.Fragment, parse_float=orjson.Fragment, parse_constant=_no_number
        )
        orjson.dumps(value)
    except (ValueError, orjson.JSONEncodeError):
        raise refused from None
    return value


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")
