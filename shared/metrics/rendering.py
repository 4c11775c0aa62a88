"""Writes metrics as Prometheus reads them, a family at a time, so that whoever renders can let others run between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from shared.metrics.state import Just

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
_HEAD = "# HELP "


def rendered(sources: Iterable[Collector], labels: Mapping[str, str] | None = None) -> Iterator[str]:
    """One text per family that has series, each with ``labels`` on every series."""
    for source in sources:
        for family in source.collect():
            if labels:
                family.samples = [each._replace(labels={**each.labels, **labels}) for each in family.samples]
            if family.samples:
                yield generate_latest(Just(family)).decode()


def together(texts: Iterable[str]) -> str:
    """What several processes wrote as if one had: every family once, under its one head."""
    families: dict[str, list[str]] = {}
    for text in texts:
        for block in f"\n{text}".split(f"\n{_HEAD}")[1:]:
            told, kind, *samples = block.rstrip("\n").split("\n")
            families.setdefault(f"{_HEAD}{told}\n{kind}", []).extend(samples)
    return "".join(f"{head}\n{''.join(f'{line}{chr(10)}' for line in samples)}" for head, samples in families.items())
