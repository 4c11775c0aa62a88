# ruff: noqa: ARG002 - a fake takes what the real one takes
import asyncio

import pytest

from edge.discovery.table import InstanceTable
from edge.discovery.watch import Watch, next_index
from tests.builders.waiting import eventually_async


class AtOnce:
    def uniform(self, a: float, b: float) -> float:
        return 0.0


class FakeAgent:
    """Answers from a script, then blocks as Consul does when nothing changes."""

    def __init__(self, *script) -> None:
        self.script = list(script)
        self.indexes: list[int | None] = []
        self.done = asyncio.Event()

    async def instances(self, service, *, index):
        self.indexes.append(index)
        if not self.script:
            self.done.set()
            await asyncio.Event().wait()
        answer = self.script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def a_node(instance_id: str) -> dict:
    return {"Service": {"ID": instance_id, "Address": "a", "Port": 1}, "Checks": []}


def watch(*script) -> tuple[FakeAgent, InstanceTable]:
    table = InstanceTable()

    async def scenario() -> FakeAgent:
        agent = FakeAgent(*script)
        task = asyncio.create_task(Watch(agent, table, ["catalog"], dice=AtOnce()).run())
        async with asyncio.timeout(5):
            await agent.done.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return agent

    return asyncio.run(scenario()), table


@pytest.mark.parametrize(
    ("before", "seen", "index"), [(None, 7, 7), (7, 8, 8), (7, 7, 7), (8, 7, None), (None, 0, 1), (1, -3, None)]
)
def test_an_index_that_goes_backwards_is_forgotten_and_none_is_below_one(before, seen, index):
    assert next_index(before, seen) == index


def test_the_next_query_waits_for_what_the_last_one_saw():
    agent, table = watch((5, [a_node("a")]))

    assert agent.indexes == [None, 5]
    assert [one.id for one in table.passing("catalog")] == ["a"]
    assert table.is_current


def test_while_the_agent_is_away_the_last_word_counts_and_then_everything_is_asked_anew():
    agent, table = watch((5, [a_node("a")]), ConnectionRefusedError())

    assert agent.indexes == [None, 5, None]
    assert [one.id for one in table.passing("catalog")] == ["a"]
    assert not table.is_current


def test_an_answer_that_makes_no_sense_is_survived():
    agent, table = watch((5, [{"no": "service"}]))

    assert len(agent.indexes) == 2
    assert table.instances() == {}


def test_a_service_named_later_is_followed_from_then_on_and_only_once():
    table = InstanceTable()

    async def scenario() -> FakeAgent:
        agent = FakeAgent((5, [a_node("a")]))
        watching = Watch(agent, table, [], dice=AtOnce())
        task = asyncio.create_task(watching.run())
        await asyncio.sleep(0)
        watching.follow_also(["things"])
        watching.follow_also(["things"])
        async with asyncio.timeout(5):
            await agent.done.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return agent

    agent = asyncio.run(scenario())

    assert agent.indexes == [None, 5]
    assert [one.id for one in table.passing("things")] == ["a"]


def test_a_service_named_before_anything_runs_is_followed_too():
    table = InstanceTable()

    async def scenario() -> None:
        agent = FakeAgent((5, [a_node("a")]))
        watching = Watch(agent, table, [], dice=AtOnce())
        watching.follow_also(["things"])
        task = asyncio.create_task(watching.run())
        async with asyncio.timeout(5):
            await agent.done.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scenario())

    assert [one.id for one in table.passing("things")] == ["a"]


class Blocking:
    """Answers the first question about a service; the next one waits, until it is given up."""

    def __init__(self) -> None:
        self.waiting: set[str] = set()

    async def instances(self, service, *, index):
        if index is None:
            return 5, [a_node(f"{service}-1")]
        self.waiting.add(service)
        try:
            await asyncio.Event().wait()
        finally:
            self.waiting.discard(service)


def test_a_service_that_is_not_named_any_more_is_asked_about_no_longer_and_forgotten_until_it_comes_back():
    table = InstanceTable()

    async def scenario() -> list:
        agent, seen = Blocking(), []
        watching = Watch(agent, table, ["catalog"], dice=AtOnce())
        task = asyncio.create_task(watching.run())
        for named in (["things", "catalog"], ["others"], [], ["things"]):
            watching.follow_also(named)
            await eventually_async(lambda named=named: agent.waiting == {"catalog", *named})
            seen.append(sorted(one.id for one in table.everybody()))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return [*seen, agent.waiting]

    assert asyncio.run(scenario()) == [
        ["catalog-1", "things-1"], ["catalog-1", "others-1"], ["catalog-1"], ["catalog-1", "things-1"], set(),
    ]  # fmt: skip
