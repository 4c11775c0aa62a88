"""Finds the place that a path means: by its fixed parts in a dictionary each, however many routes there are."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Generic, TypeVar

R = TypeVar("R")
Segments = tuple[str, ...]


@dataclass(slots=True)
class Place(Generic[R]):
    """Everything at one path: per method the route, and which of its variables stands at which segment.

    ``order`` is that of the table: where several places fit a path, the first serves.
    """

    order: int
    by_method: dict[str, tuple[R, tuple[tuple[str, int], ...]]] = field(default_factory=dict)


@dataclass(slots=True)
class _Shape(Generic[R]):
    """Places whose paths have their variables at the same segments."""

    variable: tuple[int, ...]
    pick: Callable[[Segments], Hashable]
    places: dict[Hashable, Place[R]] = field(default_factory=dict)


class Places(Generic[R]):
    """Filled when a table is compiled, only read afterwards."""

    def __init__(self) -> None:
        self._fixed: dict[Segments, Place[R]] = {}
        self._shapes: dict[int, list[_Shape[R]]] = {}
        self._count = 0

    def add(self, template: Segments, method: str, route: R) -> None:
        """Put a route at the path; a segment in braces is a variable."""
        variable = tuple(at for at, segment in enumerate(template) if segment.startswith("{"))
        self._count += 1
        if variable:
            shape = self._shape(len(template), variable)
            place = shape.places.setdefault(shape.pick(template), Place(self._count))
        else:
            place = self._fixed.setdefault(template, Place(self._count))
        place.by_method[method] = (route, tuple((template[at][1:-1], at) for at in variable))

    def find(self, segments: Segments) -> Place[R] | None:
        """The place; a path without variables wins over one with them. A variable is never empty."""
        found = self._fixed.get(segments)
        if found is not None or "" in segments:
            return found
        for shape in self._shapes.get(len(segments), ()):
            place = shape.places.get(shape.pick(segments))
            if place is not None and (found is None or place.order < found.order):
                found = place
        return found

    def _shape(self, length: int, variable: tuple[int, ...]) -> _Shape[R]:
        shapes = self._shapes.setdefault(length, [])
        for shape in shapes:
            if shape.variable == variable:
                return shape
        fixed = [at for at in range(length) if at not in variable]
        shapes.append(_Shape(variable, itemgetter(*fixed) if fixed else lambda _: ()))
        return shapes[-1]
