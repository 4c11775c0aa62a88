"""A second try comes a moment after the first, by lot: who failed together does not come back together."""

import asyncio
from random import Random

import pytest

from edge.discovery.table import Instance, InstanceTable
from edge.rpc.calls import Deadline
from edge.upstreams.failures import Broken, Unreached
from edge.upstreams.forwarding import RETRY_PAUSE, Ask, forward
from edge.upstreams.policy import HttpPolicy
from edge.upstreams.pool import Outgoing
from edge.upstreams.upstreams import Upstreams
from tests.builders.virtual_time import in_virtual_time

SEVERAL = 20


class Drawing(Random):
    """Notes what pauses it draws."""

    def __init__(self):
        super().__init__(1)
        self.drawn = []

    def uniform(self, a, b):
        self.drawn.append(super().uniform(a, b))
        return self.drawn[-1]


class Things:
    """A service whose first try fails; ``at`` has the moments at which an instance was asked, request by request."""

    def __init__(self, instances=2, fault=Broken):
        table = InstanceTable()
        table.replace("things", tuple(Instance(f"{n}", "things", "127.0.0.1", 1) for n in range(instances)))
        self.dice = Drawing()
        self.way = Upstreams(table, dice=self.dice).way("pass", HttpPolicy(service="things"))
        self.fault = fault
        self.at = []

    async def ask(self, seconds=60.0):
        loop, began, at = asyncio.get_running_loop(), asyncio.get_running_loop().time(), []
        self.at.append(at)

        async def asking(_instance, _outgoing):
            at.append(loop.time() - began)
            if len(at) == 1:
                raise self.fault("it broke")

        ask = Ask(outgoing=Outgoing(method="GET", target="/", fields=[]), deadline=Deadline.after(seconds))
        lease, _ = await forward(self.way, ask, asking)
        lease.release()


@pytest.mark.parametrize("fault", [Broken, Unreached])
def test_a_second_try_comes_after_a_pause_that_is_drawn_for_each(fault):
    things = Things(fault=fault)

    async def scenario():
        for _ in range(3):
            await things.ask()

    in_virtual_time(scenario())

    pauses = [second for _, second in things.at]
    assert pauses == pytest.approx(things.dice.drawn)
    assert len(set(pauses)) == 3
    assert all(RETRY_PAUSE[0] <= pause <= RETRY_PAUSE[1] for pause in pauses)


def test_those_who_failed_together_come_back_one_by_one():
    things = Things(fault=Unreached)
    things.way.service.budget = type("Plenty", (), {"earn": lambda _: None, "spend": lambda _: True})()

    async def scenario():
        await asyncio.gather(*(things.ask() for _ in range(SEVERAL)))

    in_virtual_time(scenario())

    assert {first for first, _ in things.at} == {0.0}
    assert len({second for _, second in things.at}) == SEVERAL


@pytest.mark.parametrize(("instances", "seconds"), [(1, 60.0), (2, 0.2)], ids=["nobody else", "no time"])
def test_where_there_is_no_second_try_nobody_waits_for_one(instances, seconds):
    things = Things(instances)

    async def scenario():
        began = asyncio.get_running_loop().time()
        with pytest.raises(Broken, match="it broke"):
            await things.ask(seconds)
        return asyncio.get_running_loop().time() - began

    assert in_virtual_time(scenario()) == 0.0
    assert things.dice.drawn == []


def test_who_goes_away_during_the_pause_holds_no_place_and_asks_nobody():
    things = Things()

    async def scenario():
        task = asyncio.create_task(things.ask())
        await asyncio.sleep(RETRY_PAUSE[0] / 2)
        held = sum(member.outstanding for member in things.way.service.members())
        task.cancel()
        await asyncio.wait([task])
        del task
        return held, sum(member.outstanding for member in things.way.service.members())

    assert in_virtual_time(scenario()) == (1, 0)
    assert [len(at) for at in things.at] == [1]
