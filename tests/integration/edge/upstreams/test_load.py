"""Many requests at once: whoever dies under them takes none along, and shares hold."""

import asyncio
import random

import pytest

from tests.builders.gateway import a_gateway, a_route
from tests.builders.upstream import Upstream, answer

pytestmark = pytest.mark.anyio


async def steadily(asked, _reader, writer):
    await asyncio.sleep(0.005)
    writer.write(answer(asked.target.encode()))
    await writer.drain()
    return True


@pytest.mark.parametrize("balance", ["round-robin", "least-outstanding", "hash"])
async def test_an_instance_that_dies_under_load_takes_no_read_along(tmp_path, balance):
    hashed = {"hash": "header X-Key"} if balance == "hash" else {}
    route = a_route(http={"balance": balance, **hashed})
    statuses = []
    async with (
        Upstream("a", steadily) as one,
        Upstream("b", steadily) as two,
        Upstream("c", steadily) as three,
        a_gateway(tmp_path, route) as edge,
    ):
        edge.there_are(one, two, three)

        async def shop(number):
            for turn in range(30):
                got = await edge.client.get(f"/things/{number}", headers={"X-Key": f"{number}-{turn}"})
                statuses.append((got.status_code, got.text == f"/things/{number}"))
                if len(statuses) == 80:
                    two.kill()

        await asyncio.gather(*(shop(number) for number in range(8)))
        seen = len(two.asked)

    assert set(statuses) == {(200, True)}
    assert 0 < seen < 240 / 2


async def test_a_tenth_of_the_requests_goes_to_the_canary(tmp_path):
    route = a_route(http={"versions": {"split": {"stable": 90, "canary": 10}}})
    async with (
        Upstream("s", meta={"version": "stable"}) as stable,
        Upstream("c", meta={"version": "canary"}) as canary,
        a_gateway(tmp_path, route, dice=random.Random(7)) as edge,
    ):
        edge.there_are(stable, canary)

        async def shop():
            for _ in range(30):
                await edge.client.get("/things/x")

        await asyncio.gather(*(shop() for _ in range(10)))

    assert len(stable.asked) + len(canary.asked) == 300
    assert 15 <= len(canary.asked) <= 45


async def test_weights_from_consul_and_from_the_route_hold(tmp_path):
    route = a_route(http={"balance": "round-robin", "weights": {"c": 4}})
    async with (
        Upstream("a") as one,
        Upstream("b", weight=3) as two,
        Upstream("c") as three,
        a_gateway(tmp_path, route) as edge,
    ):
        edge.there_are(one, two, three)
        for _ in range(80):
            await edge.client.get("/things/x")

    assert [len(each.asked) for each in (one, two, three)] == [10, 30, 40]
