"""Three times what a service can do, offered as fast as it comes: what is served, how soon, and who is refused."""

import asyncio
import time
from collections import Counter

import httpx
import pytest

from edge.admission.door import Admission
from shared.resilience.adaptive import LimitPolicy
from tests.fakes.edge import FakeRpc, a_token, collaborators, serving

pytestmark = pytest.mark.anyio

SERVERS = 4
CALL_SECONDS = 0.1
CAPACITY = SERVERS / CALL_SECONDS
SECONDS = 3.0
ORDER_EVERY = 10
LATE_SECONDS = 0.2
TRIES = 5
"""A machine that stops offers what was due meanwhile all at once, which is another load: then it is offered again."""


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Limited(FakeRpc):
    """The order service: so many calls at once, each for so long; who comes to more than that waits."""

    def __init__(self):
        super().__init__(list_orders=self._work, cancel_order=self._work)
        self._servers = asyncio.Semaphore(SERVERS)

    async def _work(self, _arguments, _context):
        async with self._servers:
            await asyncio.sleep(CALL_SECONDS)
        return {"items": [], "next_cursor": None, "id": "1", "version": 1}


class Load:
    def __init__(self, client):
        self._client = client
        self._headers = {"Authorization": f"Bearer {a_token()}"}
        self.statuses = Counter()
        self.served = 0
        self.took = 0.0
        self.worst_lateness = 0.0

    async def offer(self, rate, seconds):
        began = time.monotonic()
        asked = []
        for number in range(int(rate * seconds)):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self.worst_lateness = max(self.worst_lateness, time.monotonic() - due)
            kind = "order" if number % ORDER_EVERY == 0 else "read"
            asked.append(asyncio.create_task(self._ask(kind)))
        await asyncio.gather(*asked)
        self.took = time.monotonic() - began
        return self

    async def _ask(self, kind):
        if kind == "order":
            answer = await self._client.post("/api/orders/1/cancel", json={}, headers=self._headers)
        else:
            answer = await self._client.get("/api/orders", headers=self._headers)
        self.statuses[kind, answer.status_code] += 1
        self.served += answer.status_code == 200

    def success(self, kind):
        asked = sum(count for (each, _), count in self.statuses.items() if each == kind)
        return self.statuses[kind, 200] / asked


async def under_three_times_its_capacity():
    parts = collaborators(Limited(), rate_scale=1000.0)
    object.__setattr__(parts, "admission", Admission(LimitPolicy(least=8, slower=1.6, slack=0.01, growth=0.02)))
    parts.admission.start()
    try:
        unlimited = httpx.Limits(max_connections=None)
        async with (
            serving(parts) as known,
            httpx.AsyncClient(base_url=known.base_url, timeout=30, limits=unlimited) as client,
        ):
            await Load(client).offer(CAPACITY / 2, 1.0)
            load = await Load(client).offer(3 * CAPACITY, SECONDS)
    finally:
        parts.admission.stop()
    assert parts.admission.limit_of("order").in_flight == 0
    return load


async def test_under_three_times_its_capacity_a_service_goes_on_serving_and_orders_come_first():
    for _ in range(TRIES):
        load = await under_three_times_its_capacity()
        if load.worst_lateness < LATE_SECONDS:
            break

    assert {status for _, status in load.statuses} == {200, 503}
    could_be_served = min(CAPACITY * load.took, load.statuses.total())  # a slow machine offers less in its time
    assert load.served >= 0.5 * could_be_served
    assert load.success("order") > load.success("read")
    assert load.success("order") >= 0.9
