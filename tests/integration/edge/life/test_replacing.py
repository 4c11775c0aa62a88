"""Workers that come and go under load: replaced after their share of requests, or dead at once."""

import asyncio
import time

import pytest

from tests.builders.waiting import eventually_async
from tests.integration.edge.life.running import AnEdge, Crowd, alone

pytestmark = pytest.mark.takes(20)


@pytest.mark.parametrize("workers", [1, 2], ids=["one worker", "two workers"])
def test_workers_are_replaced_after_their_share_of_requests_and_nobody_notices(workers):
    async def scenario(edge):
        async with Crowd([edge.port]) as crowd:
            await eventually_async(lambda: len(edge.pids("open")) == workers + 1, within=40)
            successor = f"by {edge.pids('open')[-1]}"
            await eventually_async(lambda: is_answered_by(successor, edge), within=20)
        return crowd

    with AnEdge(workers=workers, worker_requests=300) as edge:
        crowd = asyncio.run(scenario(edge))
        assert crowd.failures == []
        assert crowd.answered.total() > 300
        assert edge.complaints() == []


async def is_answered_by(name, edge):
    return name.encode() in await alone(edge.port, "/api/products/1")


def test_when_a_worker_dies_only_what_it_was_doing_is_lost():
    async def scenario(edge):
        async with Crowd([edge.port], path="/api/products/20") as crowd:
            await eventually_async(lambda: crowd.answered.total() > 50)
            fatal = await asyncio.gather(alone(edge.port, "/api/products/1666"), return_exceptions=True)
            died_at = time.monotonic()
            before = set(edge.pids("open"))
            await eventually_async(lambda: len(edge.pids("open")) == 3, within=30)
            successor = f"by {(set(edge.pids('open')) - before).pop()}"
            await eventually_async(lambda: is_answered_by(successor, edge), within=20)
        return crowd, fatal, died_at

    with AnEdge(workers=2) as edge:
        crowd, fatal, died_at = asyncio.run(scenario(edge))
        assert fatal == [b""] or isinstance(fatal[0], ConnectionError)
        assert [one for one in crowd.failures if one[0] > died_at] == []
        assert [line["message"] for line in edge.complaints()] == ["edge.worker.died"]
