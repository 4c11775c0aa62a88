"""Changes header fields and JSON documents as a route says: pure, and made ready when the table is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edge.transforms.policy import FieldChanges, JsonChanges

    Fields = list[tuple[str, str]]
    Json = Any
    Step = Callable[[dict[str, Any]], None]


class Clash(ValueError):
    """A document already has the member that another one should become."""


def change_fields(fields: Iterable[tuple[str, str]], changes: FieldChanges) -> Fields:
    """The fields after the changes, with names in lower case.

    ``X_Shop`` goes with ``X-Shop``: many frameworks cannot tell them apart, so it must not outlive what replaces it.
    """
    gone = {name.lower() for name in (*changes.remove, *changes.set)}
    renamed = {old.lower(): new.lower() for old, new in changes.rename.items()}
    kept = [
        (renamed.get(name, name), value) for name, value in ((name.lower(), value) for name, value in fields)
        if name.replace("_", "-") not in gone
    ]  # fmt: skip
    return [*kept, *((name.lower(), value) for name, value in (*changes.set.items(), *changes.add.items()))]


class JsonChanger:
    """Changes documents in place. Of one that is a list, its items are changed; what is no object stays as it is."""

    def __init__(self, changes: JsonChanges) -> None:
        self._steps: list[Step] = [
            *(_dropping(place.split(".")) for place in changes.drop),
            *(_renaming(place.split("."), new) for place, new in changes.rename.items()),
            *(_nesting(into, members) for into, members in changes.nest.items()),
        ]
        self._set = dict(changes.set)

    def change(self, document: Json) -> Json:
        """The document, changed. Raises :class:`Clash`."""
        for each in _holders(document, []):
            for step in self._steps:
                step(each)
            each.update(self._set)
        return document


def _holders(document: Json, path: list[str]) -> Iterable[dict[str, Any]]:
    """The objects at the end of the path; lists on the way are gone through."""
    if isinstance(document, list):
        for item in document:
            yield from _holders(item, path)
    elif isinstance(document, dict):
        if not path:
            yield document
        elif path[0] in document:
            yield from _holders(document[path[0]], path[1:])


def _dropping(path: list[str]) -> Step:
    *way, last = path

    def drop(document: dict[str, Any]) -> None:
        for holder in _holders(document, way):
            holder.pop(last, None)

    return drop


def _renaming(path: list[str], new: str) -> Step:
    *way, last = path

    def rename(document: dict[str, Any]) -> None:
        for holder in _holders(document, way):
            if last not in holder:
                continue
            if new in holder:
                raise Clash(new)
            items = [(new if name == last else name, value) for name, value in holder.items()]
            holder.clear()
            holder.update(items)

    return rename


def _nesting(into: str, members: list[str]) -> Step:
    def nest(document: dict[str, Any]) -> None:
        inner = {name: document.pop(name) for name in members if name in document}
        if not inner:
            return
        if into in document:
            raise Clash(into)
        document[into] = inner

    return nest
