import pytest

from tests.builders.answers import a_product_answer
from tests.fakes.edge import FakeRpc, collaborators, serving

pytestmark = pytest.mark.anyio
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_a_sane_request_id_is_kept_echoed_and_passed_on():
    rpc = FakeRpc(get_product=a_product_answer())
    async with serving(collaborators(rpc)) as client:
        answer = await client.get("/api/products/7", headers={"X-Request-ID": "mine-1"})

    assert answer.headers["x-request-id"] == "mine-1"
    assert rpc.calls[0][2].request_id == "mine-1"


@pytest.mark.parametrize("offered", ["", "a b", "x" * 129, '{"a":1}', "é".encode()])
async def test_any_other_request_id_is_replaced(offered):
    async with serving(collaborators()) as client:
        answer = await client.get("/health/live", headers={"X-Request-ID": offered})

    assert len(answer.headers["x-request-id"]) == 36


async def test_a_trace_is_continued_with_a_span_of_our_own():
    rpc = FakeRpc(get_product=a_product_answer())
    async with serving(collaborators(rpc)) as client:
        await client.get("/api/products/7", headers={"traceparent": TRACE})

    traceparent = rpc.calls[0][2].traceparent
    assert traceparent[:36] == TRACE[:36]
    assert traceparent != TRACE


@pytest.mark.parametrize("offered", ["", "00-0-0-00", TRACE.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32)])
async def test_a_trace_that_is_none_is_begun_anew(offered):
    async with serving(collaborators()) as client:
        answer = await client.get("/health/live", headers={"traceparent": offered})

    assert 'traceparent;desc="00-' in answer.headers["server-timing"]
    assert "edge;dur=" in answer.headers["server-timing"]
    assert "rpc;dur=" in answer.headers["server-timing"]


async def test_even_an_answer_to_nothing_has_an_id():
    async with serving(collaborators()) as client:
        for method, path in [
            ("GET", "/nothing"),
            ("PUT", "/api/cart"),
            ("PROPFIND", "/api/cart"),
            ("OPTIONS", "/docs"),
        ]:
            assert (await client.request(method, path)).headers["x-request-id"]
