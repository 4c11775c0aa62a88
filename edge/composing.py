"""Puts stages together, so that a request pays for one call each, and for none that its route does not need."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar, cast

from sanic import HTTPResponse

from edge.exchange import Around, Exchange, Gate, Stage, Target
from edge.routes import Route

S = TypeVar("S", bound=Stage)


def only_for(applies: Callable[[Route], bool]) -> Callable[[S], S]:
    """Leave the decorated stage out of the way of every route for which ``applies`` is false.

    That is decided once, when the table is compiled: what ``applies`` looks at must not change afterwards.
    """

    def mark(stage: S) -> S:
        stage.applies = applies  # type: ignore[union-attr]  # a function takes attributes, its type does not say so
        return stage

    return mark


def for_each(make: Callable[[Route], Stage]) -> Stage:
    """A stage made for each route anew, when the table is compiled: for what is costly to find out per request.

    Decorates a function of the route that gives the stage. The name stays the function's.
    """
    make.is_maker = True  # type: ignore[attr-defined]  # as above
    return cast("Stage", make)


def needed(stages: Sequence[Stage], route: Route) -> list[Stage]:
    """The stages on this route's way, in their order."""
    chosen = [stage for stage in stages if getattr(stage, "applies", _always)(route)]
    return [_made(stage, route) for stage in chosen]


def composer(stages: Sequence[Stage]) -> Callable[[Target], Target]:
    """Puts the stages before a target; what can be found out of them is found out once."""
    kinds = [(stage, _is_gate(stage)) for stage in reversed(stages)]

    def put_before(target: Target) -> Target:
        for stage, is_gate in kinds:
            target = _gated(cast("Gate", stage), target) if is_gate else _around(cast("Around", stage), target)
        return target

    return put_before


def compose(stages: Sequence[Stage], target: Target) -> Target:
    """One callable that sends a request through the stages in order, then to the target."""
    return composer(stages)(target)


def _around(stage: Around, proceed: Target) -> Target:
    return lambda exchange: stage(exchange, proceed)


def _gated(gate: Gate, proceed: Target) -> Target:
    """What the gate raises, it raises in whoever proceeds here: no coroutine is made for it."""

    def way(exchange: Exchange) -> Awaitable[HTTPResponse]:
        gate(exchange)
        return proceed(exchange)

    return way


def _made(stage: Stage, route: Route) -> Stage:
    if not getattr(stage, "is_maker", False):
        return stage
    return cast("Callable[[Route], Stage]", stage)(route)


def _is_gate(stage: Stage) -> bool:
    if inspect.isfunction(stage):  # a signature costs more than all else of a table's compiling
        return stage.__code__.co_argcount == 1
    return len(inspect.signature(stage).parameters) == 1


def _always(route: Route) -> bool:
    del route
    return True
