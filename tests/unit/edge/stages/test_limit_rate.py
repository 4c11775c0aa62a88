import pytest

from tests.builders.answers import a_product_answer
from tests.builders.structured_fields import members
from tests.fakes.edge import FakeRpc, a_token, collaborators, serving
from tests.fakes.windows import FakeWindows

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
