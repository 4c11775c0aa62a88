import asyncio

import pytest

from tests.builders.tables import a_page, a_route, table_text
from tests.fakes.edge import FakeRpc, collaborators, serving

pytestmark = pytest.mark.anyio

ONE = {"id": 1, "name": "Mug", "version": 1}


def limited(quota, window=60):
    page = a_page("openapi", path="/openapi.json", limits={"address": "few"})
    return table_text(page, rates={"few": {"quota": quota, "window": window}})


@pytest.fixture
def routes(tmp_path):
    def written(text):
        (tmp_path / "routes.yaml").write_text(text)
        return tmp_path / "routes.yaml"

    return written


async def test_what_was_used_of_a_limit_is_still_used_after_a_swap(routes):
    async with serving(collaborators(), routes(limited(2))) as client:
        statuses = [(await client.get("/openapi.json")).status_code for _ in range(2)]
        await client.live.follow(limited(2) + "# swapped")
        statuses.append((await client.get("/openapi.json")).status_code)
        await client.live.follow(limited(4))
        statuses += [(await client.get("/openapi.json")).status_code for _ in range(3)]

    assert statuses == [200, 200, 429, 200, 200, 429]


async def test_a_request_under_way_ends_by_the_table_it_came_under(routes):
    asked, answer = asyncio.Event(), asyncio.Event()

    async def slowly(_arguments, _context):
        asked.set()
        await answer.wait()
        return ONE

    before = table_text(a_route(limits=None, answer={"hide": ["name"]}))
    after = table_text(a_page("openapi", path="/openapi.json"))
    async with serving(collaborators(FakeRpc(get_product=slowly)), routes(before)) as client:
        under_way = asyncio.create_task(client.get("/api/products/1"))
        await asked.wait()
        await client.live.follow(after)
        new = await client.get("/api/products/1")
        answer.set()
        old = await under_way

    assert new.status_code == 404
    assert (old.status_code, old.json()) == (200, {"id": 1, "version": 1})


async def test_a_route_that_gains_authentication_asks_for_it_at_once(routes):
    rpc = FakeRpc(get_product=ONE)
    async with serving(collaborators(rpc), routes(table_text(a_route(limits=None)))) as client:
        first = await client.get("/api/products/1")
        await client.live.follow(table_text(a_route(limits=None, auth="required")))
        second = await client.get("/api/products/1")

    assert (first.status_code, second.status_code) == (200, 401)
    assert len(rpc.calls) == 1
