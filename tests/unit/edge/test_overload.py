"""Three times what a service can do, offered as fast as it comes: what is served, how soon, and who is refused.

Once in virtual time, where each figure is the same on any machine; once over HTTP, where nothing but places is counted.
"""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from statistics import median
from types import SimpleNamespace

import pytest
import yaml

from edge.admission.door import Admission
from edge.routes import compiled
from edge.stages.admit import admit
from shared.resilience.adaptive import LimitPolicy, Priority
from tests.builders.virtual_time import in_virtual_time
from tests.builders.waiting import eventually_async
from tests.fakes.edge import ROUTES, FakeRpc, a_token, collaborators, serving

pytestmark = pytest.mark.anyio

SERVERS = 4
CALL_SECONDS = 0.1
CAPACITY = SERVERS / CALL_SECONDS
OVERLOAD = 3
SECONDS = 60
ORDER_EVERY = 10
"""A tenth are orders: three tenths of what the service can do. Not one of them need be refused."""

POLICY = LimitPolicy(least=8, slower=1.6, slack=0.01, growth=0.02)
UNLIMITED = LimitPolicy(first=10**6, least=10**6, most=10**6)
KINDS = {"read": "list_orders", "order": "cancel_order"}


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Service:
    """So many calls at once, each for so long; who comes to more than that waits in line."""

    def __init__(self):
        self._servers = asyncio.Semaphore(SERVERS)

    async def __call__(self, exchange):
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with self._servers:
            await asyncio.sleep(CALL_SECONDS)
        exchange.rpc_seconds = loop.time() - began
        return SimpleNamespace(status=200)


@dataclass
class Load:
    """What became of what was offered: how often what was answered, and how many seconds took what was served."""

    statuses: Counter = field(default_factory=Counter)
    took: list = field(default_factory=list)

    @property
    def served(self):
        return len(self.took)

    def middle(self):
        return median(self.took)

    def slowest(self):
        return max(self.took)


class Door:
    """The stage as the pipeline has it, before the service. What it says no to has not been to the service."""

    def __init__(self, admission):
        self._parts = SimpleNamespace(collaborators=SimpleNamespace(admission=admission))
        routes = {route.policy.name: route for route in compiled(ROUTES.read_text()).routes}
        self._stages = {kind: admit(routes[name]) for kind, name in KINDS.items()}
        self._service = Service()

    async def offer(self, rate, seconds):
        loop, load = asyncio.get_running_loop(), Load()
        began = loop.time()
        asked = []
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, began + number / rate - loop.time()))
            kind = "order" if number % ORDER_EVERY == 0 else "read"
            asked.append(asyncio.create_task(self._ask(kind, load)))
        await asyncio.gather(*asked)
        return load

    async def _ask(self, kind, load):
        loop = asyncio.get_running_loop()
        began = loop.time()
        request = SimpleNamespace(stream=None, path="/")
        exchange = SimpleNamespace(equipment=self._parts, request=request, request_id="", place=None, rpc_seconds=0.0)
        answer = await self._stages[kind](exchange, self._service)
        load.statuses[kind, answer.status] += 1
        if answer.status == 200:
            load.took.append(loop.time() - began)


def under_load(policy):
    """The second of two loads of the same kind: in the first, of some seconds, the limit is found."""

    async def scenario():
        admission = Admission(policy)
        door = Door(admission)
        admission.start()
        await door.offer(CAPACITY / 2, 10)  # so that it knows what is usual
        await door.offer(OVERLOAD * CAPACITY, 5)
        load = await door.offer(OVERLOAD * CAPACITY, SECONDS)
        admission.stop()
        assert admission.limit_of("order").in_flight == 0
        return load

    return in_virtual_time(scenario())


def test_under_three_times_its_capacity_a_service_does_all_it_can_soon_and_serves_every_order():
    load = under_load(POLICY)

    assert load.statuses["order", 503] == 0
    assert load.served >= 0.95 * CAPACITY * SECONDS
    assert load.statuses["read", 503] > load.statuses["read", 200] > 0
    assert load.middle() <= 2.5 * CALL_SECONDS
    assert load.slowest() <= 4 * CALL_SECONDS


def test_without_a_limit_the_same_load_makes_everybody_wait():
    """What the test above would see of an admission that admits: else it would prove nothing."""
    load = under_load(UNLIMITED)

    assert not [status for _, status in load.statuses if status != 200]
    assert load.middle() > 100 * CALL_SECONDS


class Shut(FakeRpc):
    """Services whose calls end when the gate is opened."""

    def __init__(self):
        super().__init__(list_orders=self._wait, cancel_order=self._wait)
        self.gate = asyncio.Event()

    async def _wait(self, _arguments, _context):
        await self.gate.wait()
        return {"items": [], "next_cursor": None, "id": "1", "version": 1}


@pytest.fixture
def patient(tmp_path):
    """The edge's own table, where no call is overdue while others are still on their way to the door."""
    table = yaml.safe_load(ROUTES.read_text())
    for route in table["routes"]:
        route["deadline"] = 60
    (tmp_path / "routes.yaml").write_text(json.dumps(table))
    return tmp_path / "routes.yaml"


async def test_over_http_reads_leave_the_last_places_to_orders_and_who_has_none_is_told_at_once(patient):
    rpc = Shut()
    parts = collaborators(rpc, rate_scale=1000.0)
    object.__setattr__(parts, "admission", Admission(LimitPolicy(first=8, least=8)))
    headers = {"Authorization": f"Bearer {a_token()}"}
    limit = parts.admission.limit_of("order")
    async with serving(parts, patient) as client:
        client.timeout = 60
        reads = [asyncio.create_task(client.get("/api/orders", headers=headers)) for _ in range(10)]
        await eventually_async(lambda: limit.refused[Priority.READ] == 4)
        orders = [asyncio.create_task(client.post("/api/orders/1/cancel", headers=headers)) for _ in range(10)]
        await eventually_async(lambda: limit.refused[Priority.CHECKOUT] == 8)
        held = limit.in_flight
        rpc.gate.set()
        answers = [Counter([each.status_code for each in await asyncio.gather(*asked)]) for asked in (reads, orders)]
        after = await client.get("/api/orders", headers=headers)

    assert held == 8
    assert answers == [{200: 6, 503: 4}, {200: 2, 503: 8}]
    assert len(rpc.calls) == 9
    assert (after.status_code, limit.in_flight) == (200, 0)
