"""Where the logs commands write: lines and tables to standard output, words to the reader to standard error."""

from __future__ import annotations

import sys
from typing import Any

import orjson
from rich.console import Console

_WIDE = 200


def console_of(*, is_table: bool = False) -> Console:
    """As wide as the terminal, or as lines and tables want where there is none. Knows NO_COLOR by itself."""
    console = Console(highlight=False, soft_wrap=not is_table, emoji=False, markup=False)
    if not console.is_terminal:
        console.width = _WIDE
    return console


def say(*sentences: str) -> None:
    """Tell the reader, one sentence a line."""
    to = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    for sentence in sentences:
        to.print(sentence)


def write_json(entry: Any) -> None:
    """A line of JSON."""
    sys.stdout.write(orjson.dumps(entry).decode() + "\n")
