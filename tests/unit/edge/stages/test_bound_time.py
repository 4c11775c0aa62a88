import asyncio
import time

import pytest
import yaml
from sanic import Sanic

from edge.settings import PACKAGED_ROUTES
from tests.fakes.edge import FakeRpc, a_token, collaborators, serving

pytestmark = pytest.mark.anyio


@pytest.fixture
def hasty(tmp_path):
    """The packaged table with a tenth of a second for everything."""
    table = yaml.safe_load(PACKAGED_ROUTES.read_text())
    for route in table["routes"]:
        for bounded in (route, *route.get("aggregate", {}).get("parts", [])):
            bounded["deadline"] = 0.1
    path = tmp_path / "routes.yaml"
    path.write_text(yaml.safe_dump(table))
    return path


async def forever(_arguments, _context):
    await asyncio.Event().wait()


async def test_every_call_travels_under_the_routes_deadline(hasty):
    deadlines = []

    async def note(_arguments, context):
        deadlines.append(context.deadline.monotonic)
        return {"id": 7, "version": 1}

    async with serving(collaborators(FakeRpc(get_product=note)), hasty) as client:
        before = time.monotonic()
        await client.get("/api/products/7")
        after = time.monotonic()

    assert before + 0.1 <= deadlines[0] <= after + 0.1


async def test_a_read_that_never_ends_is_answered_and_changed_nothing(hasty):
    async with serving(collaborators(FakeRpc(get_product=forever)), hasty) as client:
        answer = await client.get("/api/products/7")

    assert (answer.status_code, answer.json()["code"]) == (503, "deadline.passed")


async def test_a_change_that_never_ends_is_of_unknown_outcome(hasty):
    headers = {"Authorization": f"Bearer {a_token()}"}
    async with serving(collaborators(FakeRpc(cancel_order=forever)), hasty) as client:
        answer = await client.post("/api/orders/o/cancel", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (504, "outcome.unknown")


async def test_a_body_that_never_comes_is_a_408_and_the_end_of_the_connection(hasty):
    rpc = FakeRpc()
    async with serving(collaborators(rpc), hasty) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        head = "POST /api/users HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        writer.write(head.encode())
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()

    assert answer.startswith(b"HTTP/1.1 408")
    assert b"connection: close" in answer
    assert b'"code":"request.timeout"' in answer
    assert rpc.calls == []


async def test_a_route_that_has_long_is_not_cut_off_by_the_connections_own_clock(tmp_path):
    async def slowly(_arguments, _context):
        await asyncio.sleep(1.0)
        return {"id": 7, "version": 1}

    table = yaml.safe_load(PACKAGED_ROUTES.read_text())
    table["routes"] = [route | {"deadline": 20} for route in table["routes"] if route["name"] == "get_product"]
    path = tmp_path / "routes.yaml"
    path.write_text(yaml.safe_dump(table))
    async with serving(collaborators(FakeRpc(get_product=slowly)), path) as client:
        list(Sanic._app_registry.values())[-1].config.RESPONSE_TIMEOUT = 0.2
        answer = await client.get("/api/products/7")

    assert answer.status_code == 200
