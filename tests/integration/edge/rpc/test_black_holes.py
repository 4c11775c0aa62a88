"""A link that swallows everything and says nothing, on either side of the broker: whoever has it notices by itself.

``KIRANA_CHAOS_SEED`` repeats the moments of an earlier run.
"""

from __future__ import annotations

import asyncio

import pytest

from shared.resilience.breaker import BreakerPolicy
from tests.builders.waiting import eventually_async
from tests.integration.edge.rpc.plane import Plane, out_there
from tests.integration.edge.rpc.things import Ledger, Said

pytestmark = pytest.mark.takes(70)

DIRECTIONS = [("up",), ("down",), ("up", "down")]


@pytest.fixture(scope="module")
def demo_settings():
    """With ten seconds for each, as in the shop, these tests would take minutes."""
    return {"DEMO_HEARTBEAT_SECONDS": "2", "DEMO_OPENING_SECONDS": "5"}


@pytest.mark.parametrize("way", ["up", "down"])
def test_an_edge_whose_link_has_become_a_black_hole_hangs_nobody_and_finds_another(plane, way):
    """Before the broker has confirmed the frame, or after that, when its silence looks like the service's."""

    async def scenario(ledger):
        for _ in range(2):
            async with out_there(ledger.crowd(reads=0, longest=1.5, patience=1)):
                await asyncio.sleep(ledger.chance.uniform(0, 0.4))
                getattr(plane.near_edge, way).swallowed = True
            await eventually_async(lambda: tried_in_vain(ledger), within=15, what="giving up a link that swallows all")
            plane.near_edge.heal()
            plane.near_edge.cut()
            await eventually_async(ledger.answers, within=15, what="an answer over a new connection")

    plane.suffer(scenario, through=plane.near_edge, breaker=BreakerPolicy())


async def tried_in_vain(ledger: Ledger) -> bool:
    await ledger.change(patience=1)
    return not ledger.caller.broker.is_connected


def test_a_service_whose_links_are_black_holes_notices_and_is_back_by_itself_when_they_close(plane):
    """Nobody resets anything: the heartbeats of both ends are all there is. The process stays the same."""
    pid = plane.service.pid

    async def scenario(ledger):
        for ways in ledger.chance.sample(DIRECTIONS, 3):
            stop, said = asyncio.Event(), len(plane.service.log.read_text())
            in_hand = ledger.crowd(longest=0.5, patience=ledger.chance.uniform(4, 9))  # they may hear what became of it
            async with out_there(in_hand), out_there(ledger.trickle(stop, patience=1.5)):
                try:
                    await asyncio.sleep(ledger.chance.uniform(0, 0.5))
                    for way in ways:
                        getattr(plane.near_service, way).swallowed = True
                    await eventually_async(lambda n=said: has_lost_its_calls(plane, n), what="a link given up")
                    await asyncio.sleep(ledger.chance.uniform(0, 1.5))
                    plane.near_service.heal()
                    await eventually_async(lambda: is_made(ledger), what="a change after the hole")
                finally:
                    stop.set()

    plane.suffer(scenario, with_events=True)

    assert (plane.service.lives, plane.service.pid) == (True, pid)


def has_lost_its_calls(plane: Plane, since: int) -> bool:
    """Whether the link that brings them was given up, which it says."""
    lines = plane.service.log.read_text()[since:].splitlines()
    return any('"broker.away"' in line and ' requests"' in line for line in lines)


async def is_made(ledger: Ledger) -> bool:
    return (await ledger.change(patience=1.5)).said is Said.ANSWERED
