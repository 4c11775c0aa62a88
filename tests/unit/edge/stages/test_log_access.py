import asyncio

import pytest
from structlog.testing import capture_logs

from tests.builders.waiting import eventually_async
from tests.fakes.edge import FakeHealth, FakeRpc, collaborators, serving

pytestmark = pytest.mark.anyio


async def test_every_request_is_one_line_even_where_nothing_answers():
    with capture_logs() as logs:
        async with serving(collaborators()) as client:
            await client.get("/health/live")
            await client.get("/nothing")
            await client.put("/api/cart")

    lines = [line for line in logs if line["event"] == "http.request"]
    assert [(one["route"], one["http.response.status_code"]) for one in lines] == [
        ("alive", 200),
        ("none", 404),
        ("none", 405),
    ]
    assert lines[0]["http.request.method"] == "GET"
    assert lines[0]["url.path"] == "/health/live"
    assert lines[0]["event.duration"] > 0


async def test_a_request_whose_client_went_away_is_logged_too():
    began = asyncio.Event()

    async def forever(_arguments, _context):
        began.set()
        await asyncio.Event().wait()

    with capture_logs() as logs:
        async with serving(collaborators(FakeRpc(get_product=forever))) as client:
            request = asyncio.create_task(client.get("/api/products/7"))
            await began.wait()
            request.cancel()
            await eventually_async(lambda: any(line["event"] == "http.request" for line in logs), within=5)

    assert [line["http.response.status_code"] for line in logs if line["event"] == "http.request"] == [499]


@pytest.mark.parametrize("path", ["/health/serving", "/health/ready"])
async def test_a_probe_that_all_is_well_with_is_no_news(path):
    with capture_logs() as logs:
        async with serving(collaborators(FakeRpc(check_health={"service": "any", "ok": True}))) as client:
            assert (await client.get(path)).status_code == 200

    assert [line["log_level"] for line in logs if line["event"] == "http.request"] == ["debug"]


async def test_who_looks_whether_an_edge_serves_is_not_counted_and_no_fault_when_it_does_not():
    health = FakeHealth()
    health.is_out = True
    used = collaborators(health=health)
    with capture_logs() as logs:
        async with serving(used) as client:
            assert (await client.get("/health/serving")).status_code == 503

    assert [line["log_level"] for line in logs if line["event"] == "http.request"] == ["info"]
    assert [metric.samples for metric in used.sight.traffic.collect()] == [[]]
