"""Makes of a line of the spool what Elasticsearch is asked to create, under an id that is the same at every try."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final, NamedTuple

import orjson

UNPLACED: Final = "kirana.unplaced"
"""The data set of a line that does not say of which service it is."""

_DATASET = re.compile(r"kirana\.[a-z0-9_]{1,80}")
_NOT_IN_A_NAMESPACE = re.compile(r"[^a-z0-9_.]+")
_LONGEST_NAMESPACE = 100


class Record(NamedTuple):
    """One line that can be sent: ``wire`` is its part of a bulk request."""

    id: str
    stream: str
    line: bytes
    wire: bytes


class Broken(NamedTuple):
    """One line that cannot: ``reason`` is a word."""

    id: str
    line: bytes
    reason: str


def record_of(line: bytes, at: str) -> Record | Broken:
    """What is to be made of ``line`` (without its newline), which is known as ``at``."""
    try:
        said = orjson.loads(line)
    except orjson.JSONDecodeError:
        return Broken(at, line, "not_json")
    if not isinstance(said, dict) or not line.startswith(b"{"):
        return Broken(at, line, "no_object")
    if not isinstance(said.get("@timestamp"), str):
        return Broken(at, line, "no_timestamp")
    stream, head = _stream(_text(said, "event", "dataset"), _text(said, "service", "environment"))
    document = line if "data_stream" in said else head + line[1:]
    return Record(
        at, stream, line, b'{"create":{"_index":"%b","_id":"%b"}}\n%b\n' % (stream.encode(), at.encode(), document)
    )


def _text(said: dict[str, Any], outer: str, inner: str) -> str:
    found = said.get(outer)
    value = found.get(inner) if isinstance(found, dict) else None
    return value if isinstance(value, str) else ""


@lru_cache(maxsize=256)
def _stream(dataset: str, environment: str) -> tuple[str, bytes]:
    """The data stream's name, ``logs-<dataset>-<namespace>``, and how a document of it begins."""
    dataset = dataset if _DATASET.fullmatch(dataset) else UNPLACED
    namespace = _NOT_IN_A_NAMESPACE.sub("_", environment.lower())[:_LONGEST_NAMESPACE] or "default"
    named = orjson.dumps({"data_stream": {"type": "logs", "dataset": dataset, "namespace": namespace}})
    return f"logs-{dataset}-{namespace}", named[:-1] + b","
