"""Says what one route table has that another has not, word by word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from edge.document import escaped, read_document
from edge.routes import RouteTable
from edge.targets.declared import Change, Difference

ABSENT = "-"


def differences(before: RouteTable, after: RouteTable) -> list[Difference]:
    """From one table to the other. Tables that mean the same have none, however they are written."""
    old, new = _parts(before), _parts(after)
    found = [difference for place in {**old, **new} for difference in _difference(place, old, new)]
    common = [place for place in old if place in new], [place for place in new if place in old]
    return [*found, *([Difference(place="order", kind="changed", changes=[])] if common[0] != common[1] else [])]


def _parts(table: RouteTable) -> dict[str, dict[str, str]]:
    data = read_document(table.text).data
    rates = data["rates"]
    own = {"unrouted": dict(_words(data["unrouted"]))} if data.get("unrouted") else {}
    parts = own | {f"rates/{name}": dict(_words(rates[name])) for name in sorted(rates)}
    return parts | {
        f"routes/{route.policy.name}": dict(_words(msgspec.to_builtins(route.policy))) for route in table.routes
    }


def _words(data: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """Every word with its value as JSON. Lists are one value: their members have no names."""
    if not isinstance(data, Mapping):
        yield pointer, msgspec.json.encode(data).decode()
        return
    for name, part in data.items():
        yield from _words(part, f"{pointer}/{escaped(str(name))}")


def _difference(
    place: str, old: Mapping[str, Mapping[str, str]], new: Mapping[str, Mapping[str, str]]
) -> Iterator[Difference]:
    if place not in old or place not in new:
        yield Difference(place=place, kind="removed" if place in old else "added", changes=[])
        return
    before, after = old[place], new[place]
    changes = [
        Change(pointer=pointer, before=before.get(pointer, ABSENT), after=after.get(pointer, ABSENT))
        for pointer in {**before, **after}
        if before.get(pointer) != after.get(pointer)
    ]
    if changes:
        yield Difference(place=place, kind="changed", changes=changes)
