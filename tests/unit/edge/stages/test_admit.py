import asyncio
import socket
import time

import pytest

from edge.admission.door import Admission
from edge.rpc.failures import NotExecuted
from edge.rpc.guard import Guard
from shared.resilience.adaptive import LimitPolicy
from tests.builders.waiting import eventually_async
from tests.fakes.edge import FakeRpc, a_token, collaborators, serving

pytestmark = pytest.mark.anyio
PRODUCTS = "/api/categories"
TIGHT = LimitPolicy(first=4, least=4)


class Busy(FakeRpc):
    """Services that answer when they are told to."""

    def __init__(self):
        self.may_answer = asyncio.Event()
        super().__init__(list_categories=self._answer, get_order=self._answer, log_in=self._answer)

    async def _answer(self, _arguments, _context):
        await self.may_answer.wait()
        return []


def an_edge(rpc, policy=TIGHT):
    parts = collaborators(rpc)
    object.__setattr__(parts, "admission", Admission(policy))
    return parts


async def test_who_is_not_let_in_hears_so_at_once_and_nothing_was_done_for_them():
    rpc = Busy()
    parts = an_edge(rpc)
    limit = parts.admission.limit_of("catalog")
    for _ in range(3):
        limit.enter()
    async with serving(parts) as client:
        refused = await client.get(PRODUCTS, headers={"X-Request-ID": "mine-1"})

    assert refused.status_code == 503
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["retry-after"] in {"1", "2", "3"}
    assert refused.headers["x-request-id"] == "mine-1"
    assert refused.headers["x-content-type-options"] == "nosniff"
    assert "ratelimit" not in refused.headers
    assert refused.json() == {
        "type": "/problems/service-unavailable",
        "title": "Not available right now",
        "status": 503,
        "detail": "Too many requests are under way right now. Nothing was changed; try again shortly.",
        "instance": PRODUCTS,
        "code": "service.unavailable",
        "request_id": "mine-1",
        "retryable": True,
    }
    assert rpc.calls == []
    assert limit.refused == [0, 0, 0, 1]


async def test_a_place_is_held_until_the_answer_and_then_free():
    rpc = Busy()
    parts = an_edge(rpc)
    limit = parts.admission.limit_of("catalog")
    async with serving(parts) as client:
        asked = asyncio.create_task(client.get(PRODUCTS))
        await eventually_async(lambda: limit.in_flight == 1, within=5)
        rpc.may_answer.set()
        answer = await asked

    assert answer.status_code == 200
    assert limit.in_flight == 0


async def test_a_full_service_leaves_the_others_alone():
    parts = an_edge(FakeRpc(get_jwks={"keys": []}))
    for _ in range(4):
        parts.admission.limit_of("catalog").enter()
    async with serving(parts) as client:
        refused = await client.get(PRODUCTS)
        other = await client.get("/.well-known/jwks.json")

    assert (refused.status_code, other.status_code) == (503, 200)


async def test_health_is_told_whatever_the_load():
    parts = an_edge(FakeRpc())
    for _ in range(1000):
        parts.admission.limit_of("edge").enter()
    async with serving(parts) as client:
        alive = await client.get("/health/live")
        page = await client.get("/openapi.json")

    assert (alive.status_code, page.status_code) == (200, 503)


async def test_a_checkout_is_let_in_where_a_read_is_not():
    parts = an_edge(FakeRpc(cancel_order={}, get_order={}))
    for _ in range(3):
        parts.admission.limit_of("order").enter()
    headers = {"Authorization": f"Bearer {a_token()}"}
    async with serving(parts) as client:
        read = await client.get("/api/orders/1", headers=headers)
        bought = await client.post("/api/orders/1/cancel", headers=headers, json={})

    assert read.status_code == 503
    assert bought.status_code != 503


async def test_a_body_that_is_awaited_takes_nobodys_place():
    rpc = FakeRpc(issue_tokens={"access": "a", "user_id": "u"})
    parts = an_edge(rpc)
    limit = parts.admission.limit_of("identity")
    async with serving(parts) as client:
        address = (client.base_url.host, client.base_url.port)
        reader, writer = await asyncio.open_connection(*address)
        writer.write(
            b"POST /api/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        await writer.drain()
        await reader.readuntil(b"\r\n\r\n")
        held = limit.in_flight
        writer.write(b"{}")
        await writer.drain()
        answer = await reader.readuntil(b"\r\n\r\n")
        writer.close()

    assert held == 0
    assert answer.startswith(b"HTTP/1.1 400")
    assert limit.in_flight == 0


async def test_a_refused_body_that_has_not_come_ends_the_connection():
    parts = an_edge(FakeRpc())
    for _ in range(4):
        parts.admission.limit_of("identity").enter()
    async with serving(parts) as client:
        with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
            connection.settimeout(0)
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(
                connection,
                b"POST /api/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n",
            )
            said = b""
            async with asyncio.timeout(10):
                while part := await loop.sock_recv(connection, 65536):
                    said += part

    assert said.startswith(b"HTTP/1.1 503")
    assert b"connection: close" in said.lower()


async def test_a_dead_notification_service_takes_nothing_from_an_order():
    class Silent(FakeRpc):
        async def call(self, method, arguments, *, context):
            if method.service == "notification":
                await asyncio.Event().wait()
            return await super().call(method, arguments, context=context)

    guard = Guard(Silent(place_order=NotExecuted("it was asked", 7)), ["notification", "order", "identity"])
    parts = collaborators(guard)
    headers = {"Authorization": f"Bearer {a_token()}"}
    async with serving(parts) as client:
        waiting = [asyncio.create_task(client.get("/api/notifications", headers=headers)) for _ in range(90)]
        await eventually_async(lambda: parts.admission.limit_of("notification").in_flight >= 90)
        order = {"items": [{"product_id": 1, "quantity": 1}]}
        ordered = await client.post("/api/orders", json=order, headers=headers | {"Idempotency-Key": "k"})
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    assert ordered.headers["retry-after"] == "7"  # it came as far as the order service


async def test_letting_in_costs_next_to_nothing():
    limit = Admission().limit_of("catalog")

    def seconds():
        began = time.thread_time()
        for _ in range(10_000):
            limit.admits(3)
            limit.enter()
            limit.leave("read", 0.001)
        return (time.thread_time() - began) / 10_000

    assert min(seconds() for _ in range(5)) < 8e-6
