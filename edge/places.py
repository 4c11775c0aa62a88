"""Finds the route that a path means: by its fixed parts in a dictionary each, however many routes there are."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter, itemgetter
from typing import Generic, TypeVar

R = TypeVar("R")
Segments = tuple[str, ...]
Variables = tuple[tuple[str, int], ...]
"""Each variable with the segment at which it stands."""

Place = dict[str, tuple[R, Variables]]
"""Everything at one path, by method."""


@dataclass(slots=True)
class _Shape(Generic[R]):
    """Places whose paths have their variables at the same segments."""

    is_variable: tuple[bool, ...]
    pick: Callable[[Segments], Hashable]
    places: dict[Hashable, Place[R]] = field(default_factory=dict)


class Places(Generic[R]):
    """Filled when a table is compiled, only read afterwards.

    Where several paths fit, the one that says more serves: of the first segment that is plain text in one and a
    variable in the other the text wins. So each route can be reached, wherever it stands in the table. A path that has
    not the method leaves it to the next that fits.
    """

    def __init__(self) -> None:
        self._fixed: dict[Segments, Place[R]] = {}
        self._shapes: dict[int, list[_Shape[R]]] = {}

    def add(self, template: Segments, method: str, route: R) -> None:
        """Put a route at the path; a segment in braces is a variable."""
        variable = [at for at, segment in enumerate(template) if segment.startswith("{")]
        if variable:
            shape = self._shape(template)
            place = shape.places.setdefault(shape.pick(template), {})
        else:
            place = self._fixed.setdefault(template, {})
        place[method] = (route, tuple((template[at][1:-1], at) for at in variable))

    def find(self, segments: Segments, method: str) -> tuple[R, Variables] | None:
        """The route that serves this path with this method. A variable is never empty."""
        for place in self._fitting(segments):
            if method in place:
                return place[method]
        return None

    def methods(self, segments: Segments) -> set[str]:
        """All with which the path is served; none if there is no such path."""
        return {method for place in self._fitting(segments) for method in place}

    def _fitting(self, segments: Segments) -> Iterator[Place[R]]:
        fixed = self._fixed.get(segments)
        if fixed is not None:
            yield fixed
        if "" in segments:
            return
        for shape in self._shapes.get(len(segments), ()):
            place = shape.places.get(shape.pick(segments))
            if place is not None:
                yield place

    def _shape(self, template: Segments) -> _Shape[R]:
        is_variable = tuple(segment.startswith("{") for segment in template)
        shapes = self._shapes.setdefault(len(template), [])
        for shape in shapes:
            if shape.is_variable == is_variable:
                return shape
        fixed = [at for at, varies in enumerate(is_variable) if not varies]
        shape = _Shape[R](is_variable, itemgetter(*fixed) if fixed else lambda _: ())
        insort(shapes, shape, key=attrgetter("is_variable"))
        return shape
