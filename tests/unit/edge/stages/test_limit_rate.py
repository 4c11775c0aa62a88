import pytest
from redis.exceptions import ConnectionError as RedisIsAway

from tests.builders.answers import a_product_answer
from tests.fakes.edge import FakeRedis, FakeRpc, a_token, collaborators, serving

pytestmark = pytest.mark.anyio


async def test_the_limit_is_announced_then_kept():
    rpc = FakeRpc(get_product=a_product_answer())
    async with serving(collaborators(rpc, rate_scale=3 / 1200)) as client:
        answers = [await client.get("/api/products/7") for _ in range(4)]

    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert answers[0].headers["ratelimit-policy"] == '"browse-address";q=3;w=60'
    assert answers[0].headers["ratelimit"].startswith('"browse-address";r=2;t=')
    problem = answers[3].json()
    assert problem["code"] == "quota.exceeded"
    assert problem["violated_policies"] == ["browse-address"]
    assert int(answers[3].headers["retry-after"]) >= problem["retry_after"] > 0
    assert len(rpc.calls) == 3


async def test_a_forged_forwarding_header_buys_nothing():
    async with serving(collaborators(FakeRpc(get_product=a_product_answer()), rate_scale=2 / 1200)) as client:
        forged = [{"X-Forwarded-For": f"192.0.2.{number}", "X-Real-IP": f"192.0.2.{number}"} for number in range(4)]
        answers = [await client.get("/api/products/7", headers=headers) for headers in forged]

    assert answers[-1].status_code == 429


async def test_a_caller_is_counted_besides_the_address():
    rpc = FakeRpc(cancel_order={"id": "o", "version": 1})
    async with serving(collaborators(rpc, rate_scale=2 / 240)) as client:
        for user, expected in [("one", 200), ("one", 200), ("one", 429), ("two", 200)]:
            headers = {"Authorization": f"Bearer {a_token(sub=user)}"}
            answer = await client.post("/api/orders/o/cancel", headers=headers)
            assert answer.status_code == expected

    assert '"change-caller";q=2;w=60' in answer.headers["ratelimit-policy"]


async def test_without_redis_the_shop_stays_open_and_the_limit_is_kept():
    redis = FakeRedis()
    redis.fault = RedisIsAway()
    async with serving(
        collaborators(FakeRpc(get_product=a_product_answer()), redis=redis, rate_scale=2 / 1200)
    ) as client:
        answers = [await client.get("/api/products/7") for _ in range(3)]

    assert [one.status_code for one in answers] == [200, 200, 429]


async def test_health_is_never_limited():
    async with serving(collaborators(rate_scale=0.0001)) as client:
        assert {(await client.get("/health/live")).status_code for _ in range(5)} == {200}
