"""Reads that are under way while Redis still judges whether their caller may ask."""

import asyncio
from dataclasses import replace

import pytest

from edge.limiting.limiter import Limiter, Patience
from edge.rpc.failures import NotExecuted
from tests.builders.answers import a_product_answer
from tests.builders.structured_fields import members
from tests.builders.waiting import eventually_async
from tests.fakes.edge import FakeRpc, a_token, collaborators, serving
from tests.fakes.windows import FakeWindows

pytestmark = pytest.mark.anyio

ADDRESS = "window:browse-address:127.0.0.1"
BROWSE = 1200
PATIENT = Patience(answer=10.0)


class HeldWindows(FakeWindows):
    """A Redis that answers when it is told to."""

    def __init__(self):
        super().__init__()
        self.holds = False
        self.held = []

    def take(self, asked, tell):
        if self.holds:
            self.held.append((asked, tell))
        else:
            super().take(asked, tell)

    def release(self):
        self.holds = False
        held, self.held = self.held, []
        for asked, tell in held:
            super().take(asked, tell)


class Scene:
    """An edge with a quota for products, and somebody who has asked for one of them already."""

    def __init__(self, quota, **answers):
        self.windows = HeldWindows()
        self.rpc = FakeRpc(**({"get_product": a_product_answer()} | answers))
        limiter = Limiter(self.windows, scale=quota / BROWSE, patience=PATIENT)
        self.parts = replace(collaborators(self.rpc), limiter=limiter)

    async def __aenter__(self):
        self._serving = serving(self.parts)
        self.client = await self._serving.__aenter__()
        await self.parts.limiter.open()
        assert (await self.client.get("/api/products/1")).status_code == 200
        self.windows.holds = True
        return self

    async def __aexit__(self, *fault):
        await self.parts.limiter.close()
        await self._serving.__aexit__(*fault)

    def asks(self, *products):
        return [asyncio.create_task(self.client.get(f"/api/products/{number}")) for number in products]

    async def judged(self):
        """Everybody's question is with Redis, or waits for the next."""
        await eventually_async(lambda: self.windows.held)

    async def called(self, times):
        """The service has been asked so often, and is not asked once more."""
        await eventually_async(lambda: len(self.rpc.calls) == times, within=5)
        await asyncio.sleep(0.02)
        assert len(self.rpc.calls) == times


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def test_a_read_is_under_way_while_it_is_judged_and_its_answer_waits_for_the_verdict():
    async with Scene(quota=100) as scene:
        (asking,) = scene.asks(2)
        await scene.called(2)
        assert not asking.done()

        scene.windows.release()
        answer = await asking

    assert answer.status_code == 200
    assert members(answer.headers["ratelimit"])["browse-address"]["r"] == 98


async def test_who_is_refused_gets_nothing_of_what_was_read_meanwhile():
    async with Scene(quota=100) as scene:
        scene.windows.used[ADDRESS] = 100  # other edges let in so many
        (asking,) = scene.asks(2)
        await scene.called(2)
        scene.windows.release()
        answer = await asking
        again = await scene.client.get("/api/products/3")

    assert (answer.status_code, answer.json()["code"]) == (429, "quota.exceeded")
    assert int(answer.headers["retry-after"]) > 0
    assert a_product_answer()["name"] not in answer.text
    assert again.status_code == 429
    assert len(scene.rpc.calls) == 2


async def test_who_comes_close_to_the_limit_waits_for_the_verdict():
    async with Scene(quota=4) as scene:
        scene.windows.release()
        assert (await scene.client.get("/api/products/2")).status_code == 200
        scene.windows.holds = True
        (asking,) = scene.asks(3)
        await scene.judged()
        await scene.called(2)
        scene.windows.release()
        answer = await asking

    assert answer.status_code == 200
    assert len(scene.rpc.calls) == 3


async def test_of_a_crowd_only_so_many_run_ahead_that_half_of_the_quota_stays():
    async with Scene(quota=10) as scene:
        asking = scene.asks(*range(2, 22))
        await scene.called(1 + 4)  # one is known, so nine are left, of which five are to stay
        scene.windows.release()
        answers = await asyncio.gather(*asking)

    assert sorted(one.status_code for one in answers) == [200] * 9 + [429] * 11
    assert len(scene.rpc.calls) <= 1 + 9 + 4


async def test_who_was_never_seen_waits_for_the_verdict():
    async with Scene(quota=100) as scene:
        headers = {"Authorization": f"Bearer {a_token(sub='new')}"}
        asking = asyncio.create_task(scene.client.get("/api/cart", headers=headers))
        await scene.judged()
        await scene.called(1)
        asking.cancel()


async def test_a_change_waits_for_the_verdict():
    async with Scene(quota=100, cancel_order={"id": "o", "version": 1}) as scene:
        scene.windows.release()
        headers = {"Authorization": f"Bearer {a_token(sub='one')}"}
        assert (await scene.client.post("/api/orders/o/cancel", headers=headers)).status_code == 200
        scene.windows.holds = True
        asking = asyncio.create_task(scene.client.post("/api/orders/p/cancel", headers=headers))
        await scene.judged()
        await scene.called(2)
        scene.windows.release()
        answer = await asking

    assert answer.status_code == 200


@pytest.mark.parametrize(("used", "status"), [(0, 503), (100, 429)], ids=["admitted", "refused"])
async def test_a_refusal_comes_before_a_fault_and_a_fault_tells_the_limit_too(used, status):
    async def fails_later(arguments, _context):
        if arguments["product_id"] > 1:
            raise NotExecuted("nobody is there")
        return a_product_answer()

    async with Scene(quota=100, get_product=fails_later) as scene:
        scene.windows.used[ADDRESS] += used
        (asking,) = scene.asks(2)
        await scene.called(2)
        scene.windows.release()
        answer = await asking

    assert answer.status_code == status
    assert members(answer.headers["ratelimit"])["browse-address"]["r"] == (0 if used else 98)


async def test_a_redis_that_falls_silent_meanwhile_is_done_without():
    async with Scene(quota=100) as scene:
        (asking,) = scene.asks(2)
        await scene.called(2)
        (_, tell), *_ = scene.windows.held
        tell(TimeoutError())
        answer = await asking

    assert answer.status_code == 200
    assert scene.parts.limiter.counts["local"] == 1
