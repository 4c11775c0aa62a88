"""Reads JSON that is to be written again: every number stays as it is written, whatever a float could hold of it."""

from __future__ import annotations

import json
from typing import Any

import orjson


def read_exactly(raw: bytes) -> Any:
    """The values, among them numbers that only ``orjson.dumps`` can read.

    Raises ``orjson.JSONDecodeError``; ``orjson.JSONEncodeError`` or ``RecursionError`` for what lies too deep.
    """
    value = orjson.loads(raw)  # refuses what is not JSON, which the other one is lax about
    if orjson.dumps(value) == raw:  # what comes out as it came in has lost nothing: this costs a third of the other way
        return value
    return json.loads(raw, parse_int=orjson.Fragment, parse_float=orjson.Fragment)
