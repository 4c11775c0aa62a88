import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from edge.limiting.limiter import Limiter, Patience
from edge.rpc.failures import RemoteRefusal
from tests.builders.answers import a_product_answer
from tests.builders.structured_fields import members
from tests.builders.tables import a_route, table_text
from tests.builders.waiting import eventually_async
from tests.fakes.edge import FakeRpc, a_token, collaborators, serving
from tests.fakes.windows import FakeWindows, HeldWindows

pytestmark = pytest.mark.anyio


async def test_the_limit_is_announced_then_kept():
    rpc = FakeRpc(get_product=a_product_answer())
    async with serving(collaborators(rpc, rate_scale=3 / 1200)) as client:
        answers = [await client.get("/api/products/7") for _ in range(4)]

    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert members(answers[0].headers["ratelimit-policy"]) == {"browse-address": {"q": 3, "w": 60}}
    assert members(answers[0].headers["ratelimit"])["browse-address"]["r"] == 2
    problem = answers[3].json()
    assert (problem["code"], problem["type"]) == ("quota.exceeded", "/problems/quota-exceeded")
    assert problem["violated_policies"] == ["browse-address"]
    assert int(answers[3].headers["retry-after"]) >= members(answers[3].headers["ratelimit"])["browse-address"]["t"] > 0
    assert len(rpc.calls) == 3


async def test_a_thousand_forged_forwarding_headers_buy_nothing():
    async with serving(collaborators(FakeRpc(get_product=a_product_answer()), rate_scale=2 / 1200)) as client:
        forged = [f"192.0.2.{number % 256}, 198.51.100.{number % 251}" for number in range(1000)]
        answers = [
            await client.get("/api/products/7", headers={"X-Forwarded-For": one, "X-Real-IP": one, "Forwarded": one})
            for one in forged
        ]

    assert [one.status_code for one in answers] == [200, 200, *[429] * 998]


async def test_behind_a_trusted_proxy_each_client_has_a_limit_of_its_own():
    parts = collaborators(
        FakeRpc(get_product=a_product_answer()), rate_scale=1 / 1200, trusted_proxies=("127.0.0.0/8",)
    )
    async with serving(parts) as client:
        statuses = [
            (await client.get("/api/products/7", headers={"X-Forwarded-For": forwarded})).status_code
            for forwarded in ("192.0.2.1", "192.0.2.2", "192.0.2.3, 192.0.2.1", "2001:db8::1", "2001:db8::2")
        ]

    assert statuses == [200, 200, 429, 200, 429]


async def test_a_caller_is_counted_besides_the_address():
    rpc = FakeRpc(cancel_order={"id": "o", "version": 1})
    async with serving(collaborators(rpc, rate_scale=2 / 240)) as client:
        for user, expected in [("one", 200), ("one", 200), ("one", 429), ("two", 200)]:
            headers = {"Authorization": f"Bearer {a_token(sub=user)}"}
            answer = await client.post("/api/orders/o/cancel", headers=headers)
            assert answer.status_code == expected

    assert members(answer.headers["ratelimit-policy"])["change-caller"] == {"q": 2, "w": 60}


async def test_a_bot_that_orders_without_end_is_stopped_as_a_user_wherever_it_calls_from():
    parts = collaborators(FakeRpc(), rate_scale=2 / 60, trusted_proxies=("127.0.0.0/8",))
    token = f"Bearer {a_token(sub='bot')}"
    async with serving(parts) as client:
        answers = [
            await client.post("/api/orders", headers={"Authorization": token, "X-Forwarded-For": f"192.0.2.{number}"})
            for number in range(5)
        ]

    assert [one.status_code == 429 for one in answers] == [False, False, True, True, True]
    assert answers[-1].json()["violated_policies"] == ["order-caller"]


async def test_a_guest_is_counted_as_a_caller_by_the_address():
    rpc = FakeRpc(add_item={"cart_token": "t", "version": 1})
    async with serving(collaborators(rpc, rate_scale=2 / 240)) as client:
        answers = [
            await client.post("/api/cart/items", json={"product_id": 7, "quantity": 1}, headers={"X-Cart-Token": token})
            for token in ("one", "two", "three")
        ]

    assert answers[-1].status_code == 429
    assert answers[-1].json()["violated_policies"] == ["change-caller"]


def asked_by(shared):
    return [[group for group, _ in groups] for groups in shared.asked]


async def test_address_and_a_caller_known_before_are_asked_about_together():
    shared = FakeWindows()
    parts = collaborators(FakeRpc(cancel_order={"id": "o", "version": 1}), windows=shared)
    headers = {"Authorization": f"Bearer {a_token(sub='one')}"}
    async with serving(parts) as client:
        await parts.limiter.open()
        for _ in range(2):
            assert (await client.post("/api/orders/o/cancel", headers=headers)).status_code == 200

    address, caller = "window:browse-address:127.0.0.1", "window:change-caller:one"
    assert asked_by(shared) == [[(address,)], [(caller,)], [(address, caller)]]
    assert shared.used == {address: 2, caller: 2}


async def test_who_may_not_is_refused_without_a_charge_as_a_caller():
    shared = FakeWindows()
    parts = collaborators(FakeRpc(), windows=shared)
    headers = {"Authorization": f"Bearer {a_token(sub='one')}"}
    async with serving(parts) as client:
        await parts.limiter.open()
        for _ in range(2):
            assert (await client.delete("/api/products/7", headers=headers)).status_code == 403

    assert shared.used == {"window:browse-address:127.0.0.1": 2}


async def test_without_redis_the_shop_stays_open_and_the_limit_is_kept():
    shared = FakeWindows()
    shared.fault = ConnectionError()
    parts = collaborators(FakeRpc(get_product=a_product_answer()), windows=shared, rate_scale=2 / 1200)
    async with serving(parts) as client:
        await parts.limiter.open()
        answers = [await client.get("/api/products/7") for _ in range(3)]
        await parts.limiter.close()

    assert [one.status_code for one in answers] == [200, 200, 429]


async def test_health_is_never_limited():
    async with serving(collaborators(rate_scale=0.0001)) as client:
        assert {(await client.get("/health/live")).status_code for _ in range(5)} == {200}


ADDRESS = "window:browse-address:127.0.0.1"
A_WHILE = 0.05
"""Seconds in which what does not wait would long have happened."""


@asynccontextmanager
async def asking_slowly(rpc):
    """An edge whose limits are judged when the test says so."""
    shared = HeldWindows()
    parts = replace(collaborators(rpc), limiter=Limiter(shared, patience=Patience(answer=60.0)))
    async with serving(parts) as client:
        await parts.limiter.open()
        yield client, shared
        await parts.limiter.close()


async def test_a_read_is_under_way_while_redis_is_asked_but_answered_only_after():
    rpc = FakeRpc(get_product=a_product_answer())
    async with asking_slowly(rpc) as (client, shared):
        reading = asyncio.create_task(client.get("/api/products/7"))
        await eventually_async(lambda: rpc.calls and shared.held)
        done, _ = await asyncio.wait([reading], timeout=A_WHILE)
        shared.answer()
        answer = await reading

    assert done == set()
    assert answer.status_code == 200
    assert members(answer.headers["ratelimit"])["browse-address"]["r"] == 1199


async def answered(shared, *requests):
    """What they hear, however often each must ask."""
    running = [asyncio.ensure_future(request) for request in requests]
    while not all(each.done() for each in running):
        shared.answer()
        await asyncio.sleep(A_WHILE / 10)
    return [each.result() for each in running]


async def test_a_change_waits_for_its_limits():
    rpc = FakeRpc(cancel_order={"id": "o", "version": 1})
    headers = {"Authorization": f"Bearer {a_token(sub='one')}"}
    async with asking_slowly(rpc) as (client, shared):
        await answered(shared, client.post("/api/orders/o/cancel", headers=headers))  # the caller is known from now on
        rpc.calls.clear()
        changing = asyncio.create_task(client.post("/api/orders/o/cancel", headers=headers))
        await eventually_async(lambda: shared.held)
        await asyncio.sleep(A_WHILE)
        early = list(rpc.calls)
        (answer,) = await answered(shared, changing)

    assert early == []
    assert answer.status_code == 200
    assert len(rpc.calls) == 1


@pytest.mark.parametrize(
    "found", [a_product_answer(), RemoteRefusal("product.not_found", "No.", {})], ids=["answered", "refused"]
)
async def test_who_asked_too_often_elsewhere_hears_only_that(found):
    rpc = FakeRpc(get_product=found)
    async with asking_slowly(rpc) as (client, shared):
        shared.used[ADDRESS] = 1_000_000
        reading = asyncio.create_task(client.get("/api/products/7"))
        await eventually_async(lambda: rpc.calls and shared.held)
        shared.answer()
        first, again = await reading, await client.get("/api/products/8")

    assert [first.status_code, again.status_code] == [429, 429]
    assert first.json()["violated_policies"] == ["browse-address"]
    assert members(first.headers["ratelimit"])["browse-address"]["r"] == 0
    assert len(rpc.calls) == 1


async def test_no_more_go_on_than_there_was_room_for_and_of_strangers_one():
    rpc = FakeRpc(get_product=a_product_answer())
    async with asking_slowly(rpc) as (client, shared):
        shared.used[ADDRESS] = 1200 - 6
        under_way = []
        for first in (10, 20):
            reading = [asyncio.create_task(client.get(f"/api/products/{first + number}")) for number in range(4)]
            await eventually_async(lambda: shared.held)
            await asyncio.sleep(A_WHILE)
            under_way.append(len(rpc.calls))
            statuses = [answer.status_code for answer in await answered(shared, *reading)]

    assert under_way == [1, 4 + 2]
    assert statuses == [200, 200, 429, 429]


async def test_a_read_under_way_when_redis_is_lost_is_judged_alone():
    rpc = FakeRpc(get_product=a_product_answer())
    async with asking_slowly(rpc) as (client, shared):
        reading = asyncio.create_task(client.get("/api/products/7"))
        await eventually_async(lambda: rpc.calls and shared.held)
        shared.fault = ConnectionError()
        shared.answer()
        answer = await reading

    assert answer.status_code == 200
    assert "ratelimit" in answer.headers


async def test_who_is_refused_by_the_address_is_not_charged_as_a_caller(tmp_path):
    rates = {"few": {"quota": 1, "window": 60}, "many": {"quota": 5, "window": 3600}}
    route = a_route(auth="required", limits={"address": "few", "caller": "many"})
    (tmp_path / "routes.yaml").write_text(table_text(route, rates=rates))
    rpc, shared = FakeRpc(get_product=a_product_answer()), FakeWindows()
    shared.used["window:few-address:127.0.0.1"] = 1
    parts = collaborators(rpc, windows=shared)
    async with serving(parts, tmp_path / "routes.yaml") as client:
        await parts.limiter.open()
        refused = await client.get("/api/products/7", headers={"Authorization": f"Bearer {a_token(sub='one')}"})
        await parts.limiter.close()

    assert refused.status_code == 429
    assert shared.used == {"window:few-address:127.0.0.1": 1}
    assert rpc.calls == []
