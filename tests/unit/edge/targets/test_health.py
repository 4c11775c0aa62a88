import pytest
from redis.exceptions import ConnectionError as RedisIsAway

from edge import readiness as looking
from edge.rpc.failures import NotExecuted
from tests.fakes.edge import FakeHealth, FakeRedis, FakeRpc, collaborators, serving

pytestmark = pytest.mark.anyio
SERVICES = ("identity", "catalog", "cart", "order", "notification")


class Services(FakeRpc):
    """Services of which some are away and some unwell."""

    def __init__(self, away=(), unwell=()):
        super().__init__()
        self.away, self.unwell = away, unwell

    async def call(self, method, arguments, *, context):
        self.calls.append((method.routing_key, arguments, context))
        if method.service in self.away:
            raise NotExecuted("away")
        self.answers["check_health"] = {"service": method.service, "ok": method.service not in self.unwell}
        return await super().call(method, arguments, context=context)


async def readiness(rpc=None, *, redis=None, health=None):
    async with serving(collaborators(rpc or Services(), redis=redis, health=health)) as client:
        return await client.get("/health/ready")


async def test_a_whole_shop_is_ready():
    answer = await readiness()

    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "dependencies": {"broker": "ok", "redis": "ok"} | dict.fromkeys(SERVICES, "ok"),
    }


async def test_degraded_is_not_down():
    redis = FakeRedis()
    redis.fault = RedisIsAway()

    answer = await readiness(Services(away=["notification"], unwell=["catalog"]), redis=redis)

    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert (
        answer.json()["dependencies"] | {"redis": "degraded", "notification": "down", "catalog": "degraded"}
        == (answer.json()["dependencies"])
    )


@pytest.mark.parametrize("service", ["identity", "catalog", "cart", "order"])
async def test_a_shop_that_cannot_sell_is_down(service):
    answer = await readiness(Services(away=[service]))

    assert (answer.status_code, answer.json()["dependencies"][service]) == (503, "down")
    assert "retry-after" in answer.headers


async def test_without_the_broker_nothing_works():
    health = FakeHealth()
    health.broker = "down"

    assert (await readiness(health=health)).status_code == 503


async def test_who_is_not_ready_says_so_in_a_problem_document_at_once():
    rpc, health = Services(), FakeHealth()
    async with serving(collaborators(rpc, health=health)) as client:
        assert (await client.get("/health/ready")).status_code == 200
        asked = len(rpc.calls)
        health.broker = "down"
        answer = await client.get("/health/ready")

    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["code"], answer.json()["dependencies"]) == ("service.unavailable", {"broker": "down"})
    assert len(rpc.calls) == asked


async def test_many_askers_share_one_look(monkeypatch):
    monkeypatch.setattr(looking, "FRESH_SECONDS", 60.0)
    rpc = Services()
    async with serving(collaborators(rpc)) as client:
        for _ in range(5):
            await client.get("/health/ready")

    assert len([key for key, _, _ in rpc.calls if key == "order.check_health"]) == 1


async def test_alive_asks_nobody():
    rpc = Services(away=SERVICES)
    async with serving(collaborators(rpc)) as client:
        answer = await client.get("/health/live")

    assert answer.status_code == 200
    assert rpc.calls == []


@pytest.mark.parametrize(("is_out", "status"), [(False, 200), (True, 503)])
async def test_serving_depends_on_nothing_but_whether_this_process_is_out(is_out, status):
    health, rpc = FakeHealth(), Services(away=SERVICES)
    health.broker, health.is_out = "down", is_out
    async with serving(collaborators(rpc, health=health)) as client:
        answer = await client.get("/health/serving")

    assert answer.status_code == status
    assert rpc.calls == []
