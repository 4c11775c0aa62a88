import asyncio
import inspect

import pytest

from edge.composing import compose, for_each, needed, only_for

ROUTE, OTHER = object(), object()


class Seen:
    """An exchange that remembers where it has been."""

    def __init__(self):
        self.places = []


async def around(exchange, proceed):
    exchange.places.append("in")
    try:
        return await proceed(exchange)
    finally:
        exchange.places.append("out")


def gate(exchange):
    exchange.places.append("gate")


def closed(_exchange):
    raise LookupError


@only_for(lambda route: route is ROUTE)
async def picky(exchange, proceed):
    exchange.places.append("picky")
    return await proceed(exchange)


@for_each
def made(route):
    async def stage(exchange, proceed):
        exchange.places.append(route)
        return await proceed(exchange)

    return stage


async def target(exchange):
    exchange.places.append("target")
    return "answer"


def places(stages, route=ROUTE):
    seen = Seen()
    assert asyncio.run(_whole(compose(needed(stages, route), target), seen)) == "answer"
    return seen.places


async def _whole(way, seen):
    return await way(seen)


def test_stages_and_gates_are_passed_in_their_order():
    assert places([gate, around, gate]) == ["gate", "in", "gate", "target", "out"]


def test_what_a_gate_raises_goes_through_the_stages_before_it_and_nothing_behind_it_runs():
    seen = Seen()

    with pytest.raises(LookupError):
        asyncio.run(_whole(compose([around, closed, gate], target), seen))

    assert seen.places == ["in", "out"]


def test_a_stage_that_a_route_does_not_need_is_not_on_its_way():
    assert places([picky], ROUTE) == ["picky", "target"]
    assert places([picky], OTHER) == ["target"]


def test_a_stage_can_be_made_for_each_route():
    assert places([made], ROUTE) == [ROUTE, "target"]
    assert places([made], OTHER) == [OTHER, "target"]


def test_a_stage_costs_one_coroutine_and_a_gate_none():
    seen = Seen()

    first = compose([gate, gate], target)(seen)

    assert inspect.getcoroutinestate(first) == inspect.CORO_CREATED
    assert first.cr_code is target.__code__
    assert asyncio.run(first) == "answer"
